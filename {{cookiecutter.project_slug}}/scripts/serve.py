"""
Run the site in production: python scripts/serve.py

HOST, PORT, WEB_CONCURRENCY and FORWARDED_ALLOW_IPS are explained in .env.example.
"""

from activate import use_venv

if __name__ == "__main__":
    use_venv()
    from server.workers import main

    main()
