package postgres

import "testing"

func TestConnectionsCountPoolsOfServers(t *testing.T) {
	r := Connections{Allowed: 97}
	for name, open := range map[string]int64{
		Options{Connections: 20, Instance: "aaaa"}.name(false): 3,
		Options{Connections: 40, Instance: "bbbb"}.name(false): 41,
		Options{Connections: 40, Instance: "cccc"}.name(true):  7, // a pooler opened them
		"psql": 1, "": 2, "billetd x pool=": 1, "billetd x pool=-9": 1, "other x pool=90": 1,
	} {
		r.add(name, open)
	}
	if r.Servers != 2 || r.Wanted != 21+41+7+6 || !r.Enough() {
		t.Errorf("got %+v, want 2 servers and 75 connections, which are enough", r)
	}
	r.add(Options{Connections: 21, Instance: "dddd"}.name(false), 1)
	if r.Wanted != 97 || !r.Enough() {
		t.Errorf("got %+v, want exactly enough", r)
	}
	if r.add("psql", 1); r.Enough() {
		t.Errorf("got %+v, want one too many", r)
	}
}
