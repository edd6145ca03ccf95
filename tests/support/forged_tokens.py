"""Tokens that no endpoint may accept, each made from header and claims of a valid one."""

from typing import Any

from tests.support.tokens import OTHER_KEY, encode_part, sign

Part = dict[str, Any]


def with_signature_of(valid: str, header: Part, claims: Part) -> str:
    return f"{encode_part(header)}.{encode_part(claims)}.{valid.split('.')[2]}"


def without(part: Part, name: str) -> Part:
    return {key: value for key, value in part.items() if key != name}


FORGED = {
    "no algorithm, no signature": lambda h, c: (
        f"{encode_part(h | {'alg': 'none'})}.{encode_part(c)}."
    ),
    "no algorithm in odd case": lambda h, c: (
        f"{encode_part(h | {'alg': 'nOnE'})}.{encode_part(c)}."
    ),
    "no algorithm but a signature": lambda h, c: sign(h | {"alg": "none"}, c),
    "algorithm missing": lambda h, c: sign(without(h, "alg"), c),
    "algorithm a list": lambda h, c: sign(h | {"alg": ["HS256"]}, c),
    "HS512": lambda h, c: sign(h | {"alg": "HS512"}, c, digest="sha512"),
    "HS384": lambda h, c: sign(h | {"alg": "HS384"}, c, digest="sha384"),
    "RS256 with an HMAC": lambda h, c: sign(h | {"alg": "RS256"}, c),
    "another key": lambda h, c: sign(h, c, OTHER_KEY),
    "an empty key": lambda h, c: sign(h, c, ""),
    "unknown kid": lambda h, c: sign(h | {"kid": "00000000"}, c),
    "unknown kid, an empty key": lambda h, c: sign(h | {"kid": "00000000"}, c, ""),
    "no kid": lambda h, c: sign(without(h, "kid"), c),
    "no kid, an empty key": lambda h, c: sign(without(h, "kid"), c, ""),
    "kid no string": lambda h, c: sign(h | {"kid": [h["kid"]]}, c),
    "signature cut": lambda h, c: sign(h, c)[:-4],
    "signature missing": lambda h, c: sign(h, c).rpartition(".")[0] + ".",
    "payload altered": lambda h, c: with_signature_of(sign(h, c), h, c | {"exp": c["exp"] + 9}),
    "header altered": lambda h, c: with_signature_of(sign(h, c), h | {"cty": "JWT"}, c),
    "unknown critical header": lambda h, c: sign(h | {"crit": ["exp"], "exp": 1}, c),
    "garbage": lambda h, c: "garbage",
    "three dots": lambda h, c: "...",
    "two parts": lambda h, c: sign(h, c).rpartition(".")[0],
    "four parts": lambda h, c: sign(h, c) + ".x",
    "non-ASCII": lambda h, c: "é.é.é",
    "10,000 characters": lambda h, c: "a" * 10_000,
    "10,000 dots": lambda h, c: "a." * 5_000,
    "payload nested deep": lambda h, c: sign(h, b'{"":' * 5_000 + b"0" + b"}" * 5_000),
    "payload nested deep, unsigned": lambda h, c: (
        f"{encode_part(h)}.{encode_part(b'[' * 30_000)}.x"
    ),
    "header nested deep": lambda h, c: sign(b"[" * 30_000, c),
    "payload of 5,000 digits": lambda h, c: sign(h, b'{"exp":' + b"9" * 5_000 + b"}"),
    "payload a list": lambda h, c: sign(h, [c]),
    "payload null": lambda h, c: sign(h, None),
    "payload no JSON": lambda h, c: sign(h, b"{"),
    "payload invalid UTF-8": lambda h, c: sign(h, b"\xff"),
    "header a list": lambda h, c: sign([h], c),
    "sub missing": lambda h, c: sign(h, without(c, "sub")),
    "sub a number": lambda h, c: sign(h, c | {"sub": 5}),
    "sub an operator": lambda h, c: sign(h, c | {"sub": {"$ne": None}}),
    "sub no id": lambda h, c: sign(h, c | {"sub": "ada"}),
    "no scope": lambda h, c: sign(h, without(c, "scope")),
    "every scope": lambda h, c: sign(h, c | {"scope": ["access", "refresh", "pwd_reset"]}),
    "exp no number": lambda h, c: sign(h, c | {"exp": "never"}),
    "no exp": lambda h, c: sign(h, without(c, "exp")),
    "none of our own claims": lambda h, c: sign(h, {k: c[k] for k in ("sub", "exp", "scope")}),
}
