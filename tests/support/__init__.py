"""What the tests share: the template, its projects, servers, services, the browser."""
