"""Write the migration from what the database is to what `store/tables.py` says: `migration.py "What is now true."`"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from pierhead.store import session

FOLDER = Path(session.__file__).with_name("migrations")


def main(message: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    number = len(list((FOLDER / "versions").glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pier.db"
        session.migrate(file)
        engine = session.migrating(file)
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
