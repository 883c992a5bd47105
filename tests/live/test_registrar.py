"""The registrar by bytes: how long a registration lasts, and who may have one."""
import re

import pytest
from sipkit import Ua, add_generic, header, show


@pytest.mark.row("C48")
def test_expiry_is_cut_and_refused(daemon):
    cred = add_generic(daemon, 201)
    ua = Ua(daemon, cred["user"], cred["secret"])
    try:
        assert ua.register(999999) == 200
        assert int(re.search(r"expires=(\d+)", header(ua.answer, "Contact"))[1]) == 3600
        assert ua.register(5) == 423 and int(header(ua.answer, "Min-Expires")) == 60
        assert len(show(daemon, "registrations")) == 1
        assert ua.register(0) == 200
        assert show(daemon, "registrations") == []
    finally:
        ua.close()
