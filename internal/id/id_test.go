package id_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
)

func TestIDsIncreaseWithinAnInstant(t *testing.T) {
	c := clock.NewFrozen(time.Unix(1_800_000_000, 0))
	m := id.NewMaker(c, rand.Reader)
	last := id.ID("")
	for i := range 2000 {
		if i%100 == 0 {
			c.Advance(time.Millisecond)
		}
		n := m.New(id.Deployment)
		if n <= last {
			t.Fatalf("%s after %s", n, last)
		}
		if !n.Valid(id.Deployment) || n.Kind() != id.Deployment || len(n) != 30 {
			t.Fatalf("malformed id %q", n)
		}
		last = n
	}
}

func TestValid(t *testing.T) {
	for text, want := range map[id.ID]bool{
		"off_abc123": true, "off_": false, "off": false, "": false, "dep_abc": false, "off_ABC": false,
		"off_a b":   false,
		"off_a\x00": false, "off_a_b": false, id.ID("off_" + strings.Repeat("a", 36)): true,
		id.ID("off_" + strings.Repeat("a", 37)): false,
	} {
		if got := text.Valid(id.Offer); got != want {
			t.Errorf("%q valid: %t, want %t", text, got, want)
		}
	}
}
