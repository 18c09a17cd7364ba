"""What `faust -A streams.worker worker --without-web` loads: the app of the settings that NEXUS_CONFIG names.

`nexus worker` does the same with clearer messages.
"""

from __future__ import annotations

from streams.app import create_app
from streams.log import set_up_log
from streams.settings import load_settings

settings = load_settings()
set_up_log(as_json=settings.worker.log == "json")
app = create_app(settings)

if __name__ == "__main__":
    app.main()
