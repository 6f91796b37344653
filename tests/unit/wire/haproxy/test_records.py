from __future__ import annotations

from pierhead.wire.haproxy import records

SERVERS = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight …
4 http:a 1 s1 127.0.0.1 2 4 77 1 0 1 0 0 8 0 0 0 - 7777 - 0 0 - - 0
4 http:a 2 s2 ::1 2 12 1 1 0 1 0 0 8 0 0 0 - 9 - 0 0 - - 0
4 http:a 3 s3 127.0.0.1 0 5 1 1 47 1 0 0 8 0 0 0 - 9 - 0 0 - - 0

"""
PROCESSES = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
21543           master          2 [failed: 1]   0d00h00m47s     2.6.12-1+deb12u4
# workers
21600           worker          0               0d00h00m03s     2.6.12-1+deb12u4
# old workers
21544           worker          2               0d00h00m47s     2.6.12-1+deb12u4
21560           worker          1               0d00h00m40s     2.6.12-1+deb12u4
# programs

"""


def test_a_server_s_state_is_in_its_admin_bits() -> None:
    one, two, three = records.read_servers(SERVERS)
    assert (one.address, one.port, one.weight) == ("127.0.0.1", 7777, 77)
    assert [(s.in_maintenance, s.is_draining) for s in (one, two, three)] == [
        (False, False),
        (False, True),
        (True, False),
    ]


def test_the_master_tells_old_workers_from_the_present_one() -> None:
    found = records.read_processes(PROCESSES)
    assert (found.master, found.reloads, found.failed) == (21543, 2, 1)
    assert (found.worker, found.old) == (21600, (21544, 21560))


def test_no_workers_at_all_is_an_answer_too() -> None:
    assert records.read_processes("") == records.Processes(0, 0, 0, 0, ())


def test_what_a_server_has_open_is_read_by_column_name() -> None:
    text = "# pxname,svname,scur,stot,addr,\nhttp:a,s1,3,10,127.0.0.1:80,\nhttp:a,s2,,,127.0.0.1:9,\n\n"
    assert records.read_loads(text) == (
        records.Load("s1", "127.0.0.1:80", 3, 10, "http:a"),
        records.Load("s2", "127.0.0.1:9", 0, 0, "http:a"),
    )
    assert records.read_loads("No such proxy.\n") == ()
    assert [load.name for load in records.read_used(text)] == ["s1"]
    assert records.read_used("") == records.read_used("Unknown pid.\n") == ()


def test_a_worker_says_who_it_is() -> None:
    found = records.read_info("Name: HAProxy\nVersion: 2.6.12\nPid: 7\nCurrConns: 2\ndescription: pierhead-1\n")
    assert found == records.Info("2.6.12", 7, "pierhead-1", 2)


def test_tables_of_several_backends_are_read_and_what_else_is_said_is_not() -> None:
    text = (
        "# pxname,svname,scur,stot,addr,econ,eresp,\nhttp:a,s1,3,10,127.0.0.1:80,1,2,\n\n"
        "No such proxy.\n\n# pxname,svname,scur,stot,addr,econ,eresp,\nhttp:b,s1,0,7,127.0.0.1:81,,,\n"
    )
    assert [(load.backend, load.requests, load.failed) for load in records.read_loads(text)] == [
        ("http:a", 3, 3),
        ("http:b", 0, 0),
    ]


def test_a_map_is_read_with_the_first_of_entries_that_are_there_twice() -> None:
    assert records.read_entries("0x7f /a/ x\n0x80 /b/ y\n0x81 /a/ z\n\n") == {"/a/": "x", "/b/": "y"}


def test_an_entry_is_only_what_has_exactly_the_key() -> None:
    text = 'type=beg, case=sensitive, found=yes, idx=tree, key="/b/", value="http:b", type="str"\n'
    assert records.read_entry(text, "/b/") == "http:b"
    assert records.read_entry(text, "/b/c") is None
    assert records.read_entry("type=beg, case=sensitive, found=no\n", "/b/") is None
