package rack_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
)

const consoleKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqhDkOPm5UBnhCCu1GVvJ5lOMl1H8i4w4W2U3J8kPrk"

func withConsole(f rack.MachineFields) rack.MachineFields {
	f.Console, f.ConsoleUser, f.ConsolePassword = p("openbmc"), p(racktest.ConsoleUser), p(racktest.ConsolePassword)
	f.ConsoleHostKey = p(consoleKey + " root@bmc\n")
	return f
}

func TestFieldsOfAConsole(t *testing.T) {
	each(t, func(k *testKit) {
		m, err := k.tryAdd(withConsole(fields(1)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Console != "openbmc" || m.ConsoleHostKey != consoleKey || m.ConsoleUser != racktest.ConsoleUser {
			t.Errorf("%+v", m)
		}
		if plain := k.add(2); plain.Console != "off" {
			t.Errorf("a machine has the console %q without saying so", plain.Console)
		}
		for _, c := range []struct {
			change func(f *rack.MachineFields)
			fault  string
		}{
			{func(f *rack.MachineFields) { f.Console = p("telnet") }, "console"},
			{func(f *rack.MachineFields) { f.ConsoleUser = nil }, "consoleUser"},
			{func(f *rack.MachineFields) { f.ConsolePassword = nil }, "consolePassword"},
			{func(f *rack.MachineFields) { f.ConsolePassword = p("a\nb") }, "consolePassword"},
			{func(f *rack.MachineFields) { f.ConsoleHostKey = nil }, "consoleHostKey"},
			{func(f *rack.MachineFields) { f.ConsoleHostKey = p("SHA256:abc") }, "consoleHostKey"},
			{func(f *rack.MachineFields) { f.ConsoleHostKey = p(consoleKey + "\n" + consoleKey) }, "consoleHostKey"},
			{func(f *rack.MachineFields) { f.ConsolePort = p(int64(70_000)) }, "consolePort"},
			{func(f *rack.MachineFields) { f.ConsolePort = p(int64(22)) }, "consolePort"}, // a command line there
		} {
			f := withConsole(fields(3))
			c.change(&f)
			_, err := k.tryAdd(f)
			if got := faulty(t, err); len(got) != 1 || got[0] != c.fault {
				t.Errorf("got faults in %v, want %s", got, c.fault)
			}
		}
		// The password stays when something else changes, and a console is switched off alone.
		if _, err := k.update(m.ID, rack.MachineFields{ConsolePort: p(int64(2201))}); err != nil {
			t.Error(err)
		}
		off, err := k.update(m.ID, rack.MachineFields{Console: p("off")})
		if err != nil || off.Console != "off" || off.ConsolePort != 2201 {
			t.Errorf("%+v, %v", off, err)
		}
		if on, err := k.update(m.ID, rack.MachineFields{Console: p("ilo")}); err != nil || on.Console != "ilo" {
			t.Errorf("%+v, %v", on, err)
		}
	})
}

func TestFilesHaveConsoles(t *testing.T) {
	rows, err := rack.ReadYAML(strings.NewReader("machines:\n  - {name: a, console: idrac, consolePort: 2222, " +
		"consoleUser: u, consolePassword: s, consoleHostKey: \"" + consoleKey + "\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[0]; *r.Console != "idrac" || *r.ConsolePort != 2222 || *r.ConsolePassword != "s" {
		t.Errorf("%+v", r.MachineFields)
	}
}

// The console is that of the deployment that has the machine, and of no other.
func TestTheConsoleFollowsTheTenancy(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		t := r.t
		has := func(what string, deployment id.ID, want error) {
			t.Helper()
			if err := r.HasConsole(t.Context(), r.db, deployment); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			if want == nil {
				return
			}
			if c, err := r.OpenConsole(t.Context(), deployment); c != nil || !errors.Is(err, want) {
				t.Errorf("%s, opening it: %v, want %v", what, err, want)
			}
		}
		if g, err := r.Groups(t.Context(), r.db); err != nil || g[0].Console {
			t.Errorf("%+v, %v", g, err)
		}
		has("a deployment without a machine", "dep_1", rack.ErrNone)
		first, second := r.launch(0), r.launch(0)
		first.Deployment, second.Deployment = "dep_1", "dep_2"
		assign := func(l rack.Launch) {
			t.Helper()
			if _, err := r.Assign(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		assign(first)
		has("no console", "dep_1", rack.ErrNoConsole)
		port, key := racktest.Console(t)
		f := withConsole(rack.MachineFields{})
		f.ConsolePort, f.ConsoleHostKey = &port, &key
		if _, err := r.update(r.ms[0].ID, f); err != nil {
			t.Fatal(err)
		}
		if g, err := r.Groups(t.Context(), r.db); err != nil || !g[0].Console {
			t.Errorf("%+v, %v", g, err)
		}
		has("while it is installed", "dep_1", rack.ErrConsoleBusy)
		r.run()
		has("once it is installed", "dep_1", nil)
		has("another deployment", "dep_2", rack.ErrNone)
		c, err := r.OpenConsole(t.Context(), "dep_1")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len("login: root"))
		if _, err := io.WriteString(c, "root"); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "login: root" {
			t.Errorf("the console says %q, %v", b, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		// From the moment of its return, although the machine is still on.
		if err := r.Return(t.Context(), "dep_1"); err != nil {
			t.Fatal(err)
		}
		has("after its return", "dep_1", rack.ErrNone)
		r.run()
		has("for the next tenant before it is theirs", "dep_2", rack.ErrNone)
		assign(second)
		r.run()
		has("for the next tenant", "dep_2", nil)
		has("for the former one", "dep_1", rack.ErrNone)
	})
}
