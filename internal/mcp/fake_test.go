package mcp_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// fake is a server that only returns its key, with changing limits and an invalid name.
type fake struct {
	t        *testing.T
	url      string
	name     string // JSON-encoded
	mu       sync.Mutex
	spending string
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, name: "agent"}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(
			w,
			`{"success":true,"data":{"id":"key_1","name":"%s","account":{"id":"acc_1","name":"a"},
			"scopes":["deployments:write"],"allowedNetworks":[],
			"expiresAt":null,"createdAt":"2028-02-29T12:00:00Z","spendingLimits":%s,"spent":null}}`,
			f.name,
			f.spending,
		)
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) set(spending string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spending = spending
}

func (f *fake) agent() *agent {
	f.t.Helper()
	c, err := client.New(client.Config{BaseURL: f.url, APIKey: "pk_live_test", MaxRetries: -1})
	if err != nil {
		f.t.Fatal(err)
	}
	return connected(
		f.t,
		mcp.New(
			mcp.Config{Client: c, Version: "test", Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
		),
		"pk_live_test",
	)
}

// connected connects an agent to the server.
func connected(t *testing.T, server *sdk.Server, key string) *agent {
	t.Helper()
	here, there := sdk.NewInMemoryTransports()
	if _, err := server.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return &agent{t, session, key}
}
