"""
Run the site in production: python scripts/serve.py

HOST, PORT, WEB_CONCURRENCY and FORWARDED_ALLOW_IPS are explained in .env.example.
"""

if __name__ == "__main__":  # Not in the workers, which import this file too.
    from activate import use_venv

    use_venv()
    from server.workers import main

    main()
