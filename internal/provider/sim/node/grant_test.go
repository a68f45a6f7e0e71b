package node

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqhDkOPm5UBnhCCu1GVvJ5lOMl1H8i4w4W2U3J8kPrk"

// authorized logs in with testKey at a time and from an address, where authorized_keys is this
// text.
func authorized(t *testing.T, text, from string, now time.Time) (*grant, error) {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, authorizedFiles[0]), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(home)
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{}
	return m.authorize(account{home: real}, key, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from),
		1)), now)
}

func TestNoRestrictionOfAKeyIsIgnored(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		options, from string
		in            bool
	}{
		{"", "10.1.2.3", true},
		{`from="10.0.0.0/8"`, "10.1.2.3", true},
		{`from="10.0.0.0/8"`, "::ffff:10.1.2.3", true},
		{`from="10.0.0.0/8"`, "11.1.2.3", false},
		{`from="2001:db8::/32,10.*"`, "2001:db8::1", true},
		{`from="2001:DB8::1"`, "2001:db8::1", true},
		{`from="!10.1.2.3,10.*"`, "10.1.2.3", false},
		{`from="10.*,!10.1.2.3"`, "10.1.2.4", true},
		{`from=""`, "10.1.2.3", false},
		{`from="example.com"`, "10.1.2.3", false},
		{`from="10.0.0.0/33"`, "10.1.2.3", false},
		{`expiry-time="20260504"`, "10.1.2.3", false},
		{`expiry-time="202605041201Z"`, "10.1.2.3", true},
		{`expiry-time="20260504120000Z"`, "10.1.2.3", false},
		{`expiry-time="20261301Z"`, "10.1.2.3", false},
		{`cert-authority`, "10.1.2.3", false},
		{`verify-required`, "10.1.2.3", false},
		{`restrict,some-future-option`, "10.1.2.3", false},
		{`some-future-option="x"`, "10.1.2.3", false},
		{`principals="root"`, "10.1.2.3", false},
		{`command="internal-sftp -R"`, "10.1.2.3", false},
		{`command=true`, "10.1.2.3", false},
		{`permitopen="host"`, "10.1.2.3", false},
		{`permitlisten="0"`, "10.1.2.3", false},
		{`RESTRICT,Pty`, "10.1.2.3", true},
	} {
		line := strings.TrimSpace(c.options + " " + testKey)
		if _, err := authorized(t, line+"\n", c.from, now); (err == nil) != c.in {
			t.Errorf("%s from %s: %v", c.options, c.from, err)
		}
		// A line that lets no one in leaves it to the next.
		if _, err := authorized(t, line+"\n# a comment\n\n"+testKey+" laptop", c.from, now); err != nil {
			t.Errorf("%s, then a plain line: %v", c.options, err)
		}
	}
}

func TestWhatAKeyMayForward(t *testing.T) {
	if _, err := parseOptions([]string{`permitlisten="local*:9*"`}); err == nil {
		t.Error("a port of 9* was accepted")
	}
	g, err := parseOptions([]string{
		"restrict", "port-forwarding", `permitopen="db:5432"`, `permitopen="*:80"`, `permitopen="[::1]:*"`,
		`permitlisten="8080"`, `permitlisten="local*:9000"`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host string
		port uint32
		open bool
	}{{"db", 5432, true}, {"db", 5433, false}, {"db.example", 5432, false}, {"any", 80, true}, {"::1", 1,
		true}, {"127.0.0.1", 1, false}} {
		if g.mayOpen(c.host, c.port) != c.open {
			t.Errorf("open %s:%d", c.host, c.port)
		}
	}
	for _, c := range []struct {
		host   string
		port   uint32
		listen bool
	}{{"", 8080, true}, {"any", 8080, true}, {"localhost", 9000, true}, {"other", 9000, false}, {"localhost", 0,
		false}} {
		if g.mayListen(c.host, c.port) != c.listen {
			t.Errorf("listen %s:%d", c.host, c.port)
		}
	}
	if g.agent || g.terminal || g.rc || g.mayForwardSockets() {
		t.Errorf("more than was given: %+v", g)
	}
}
