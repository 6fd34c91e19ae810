"""`python -m slipway_hub.admin_password` tells the first administrator's one-time password, while it holds.

Exit 0 and `USER PASSWORD` on stdout; 3 if it has been changed; 1 if that cannot be told.
"""

from __future__ import annotations

import sys

from nativeauthenticator.orm import UserInfo
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from slipway_hub.passwords import is_hash_of
from slipway_hub.settings import settings_or_exit

CHANGED = 3


def main() -> int:
    settings = settings_or_exit()
    if settings.oidc_client_id:
        return say("people log in at your OpenID Connect provider; there is no one-time password.", CHANGED)
    name, password = settings.admin_user, settings.hub_admin_password.get_secret_value()
    try:
        with Session(create_engine(settings.database_url)) as db:
            account = UserInfo.find(db, name)
    except SQLAlchemyError as error:
        reason = error.__class__.__name__
        return say(f"the hub's database cannot be read yet ({reason}); try again when the hub is up.", 1)
    if account is None:
        return say(f"the account {name} is not made yet; try again when the hub is up.", 1)
    if not is_hash_of(account.password, password):
        return say(f"the password of {name} has been changed; only {name} knows it.", CHANGED)
    print(name, password)
    return 0


def say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
