"""What is logged: every request, nothing secret."""

import base64

import requests

from tests.conftest import NEW_PASSWORD, wait_until

# Not the password that the greeting suggests.
EVE = {"email": "eve@example.com", "password": "a secret of hers"}


def test_the_log_of_a_run_has_no_password_no_token_and_no_traceback(run):
    server = run()
    api = f"{server.url}/api/auth"
    secrets = [EVE["password"], NEW_PASSWORD, "a wrong password", "password1"]

    def bearer(token):
        secrets.append(token)
        return {"Authorization": f"Bearer {token}"}

    server.post("/api/auth/signup", **EVE)
    server.post("/api/auth/login", email=EVE["email"], password="a wrong password")
    tokens = server.post("/api/auth/login", **EVE).json()
    requests.get(f"{api}/verify", headers=bearer(tokens["token"]), timeout=10)
    requests.get(f"{api}/verify?token={tokens['token']}", timeout=10)
    requests.get(f"{server.url}/api/{tokens['token']}", timeout=10)
    requests.post(f"{api}/refresh", headers=bearer(tokens["refresh_token"]), timeout=10)
    requests.post(f"{api}/refresh", headers=bearer("not.a.token"), timeout=10)
    server.post("/api/auth/forgot", email=EVE["email"])
    mails = server.data_dir / "email.log"
    text = wait_until(lambda: mails.exists() and mails.read_text())
    token = text.partition("/reset/")[2].split()[0]
    secrets.append(token)
    requests.get(f"{server.url}/reset/{token}", timeout=10)
    requests.post(f"{server.url}/reset/{token}", data={"password": "password1"}, timeout=10)
    server.post("/api/auth/reset", reset_token=token, password=NEW_PASSWORD)
    server.post("/api/auth/reset", reset_token=token, password=NEW_PASSWORD)
    requests.post(f"{api}/login", data=b"\xff" + EVE["password"].encode(), timeout=10)
    wait_until(lambda: mails.read_text().count("Subject: ") == 2)
    server.terminate()

    log = server.log.read_text()
    assert "POST /api/auth/reset 200" in log
    assert "GET /reset/<token> 200" in log
    assert "Traceback" not in log
    for secret in secrets:
        assert secret not in log
        assert base64.b64encode(secret.encode()).decode() not in log
    assert "eyJ" not in log
