package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db/dbtest"
)

// A pool that is larger than what PostgreSQL accepts is said when the server starts.
func TestTooLargePoolIsSaid(t *testing.T) {
	var log bytes.Buffer
	c := Default()
	c.DataDir, c.DatabaseURL, c.Version = t.TempDir(), dbtest.PostgresURL(t), "test"
	c.DatabasePool, c.Log = largestPool, slog.New(slog.NewTextHandler(&log, nil))
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	log.Reset()
	a.warnOfConnections(t.Context())
	if said := log.String(); !strings.Contains(said, "--database-pool") || !strings.Contains(said, "max_connections") ||
		!strings.Contains(said, "pool=1000") {
		t.Errorf("got %q", said)
	}
}

// A command opens as few connections as it needs, and is not counted as a server.
func TestCommandIsNoServer(t *testing.T) {
	c := Default()
	if o := c.connections(); o.Instance != "" || o.Connections != 0 {
		t.Errorf("a command: got %+v", o)
	}
	c = c.forServer()
	if a, b := c.connections(), c.connections(); a.Instance == "" || a.Instance == b.Instance ||
		a.Connections != c.DatabasePool {
		t.Errorf("servers: got %+v and %+v", a, b)
	}
}
