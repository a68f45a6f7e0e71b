package upstream_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const secret = "sk-very-secret"

// open returns a client of a cloud that answers as handler does, the server, and what the client
// has slept.
func open(
	t *testing.T, handler http.HandlerFunc, change func(*upstream.Config),
) (*upstream.Client, *upstreamtest.Server, *[]time.Duration) {
	t.Helper()
	server := upstreamtest.Serve(t, handler)
	var mu sync.Mutex
	slept := &[]time.Duration{}
	c := upstream.Config{
		Account: upstream.Account{
			Slug: "fake", BaseURL: server.URL, Credential: secret, Version: "1.2", Now: server.Clock.Now,
			Sleep: func(ctx context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				*slept = append(*slept, d)
				server.Advance(d)
				return ctx.Err()
			},
		},
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) },
		Every:     time.Second, Burst: 10,
	}
	if change != nil {
		change(&c)
	}
	client, err := upstream.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return client, server, slept
}

func post(c *upstream.Client, into any) error {
	return c.Do(
		context.Background(),
		upstream.Request{Method: http.MethodPost, Path: "/things", Body: map[string]int{"n": 1}, Into: into},
	)
}

func TestClient_RetriesReadsOnly(t *testing.T) {
	for _, kind := range []providertest.FaultKind{
		providertest.LostRequest, providertest.LostResponse, providertest.BadGateway,
		providertest.BadGatewayAfterEffect, providertest.HTMLPage,
	} {
		t.Run(string(kind), func(t *testing.T) {
			c, server, _ := open(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"n":7}`) }, nil)
			var got struct{ N int }
			server.InjectFault(providertest.Fault{Kind: kind, Times: 2})
			if err := c.Get(t.Context(), "/things", nil, &got); err != nil || got.N != 7 ||
				len(server.Requests()) != 3 {
				t.Errorf("%+v, %v after %d requests", got, err, len(server.Requests()))
			}
			server.InjectFault(providertest.Fault{Kind: kind, Times: 1})
			if err := post(c, &got); provider.KindOf(err) != provider.KindUnavailable || len(server.Requests()) != 4 {
				t.Errorf("%v after %d requests", err, len(server.Requests()))
			}
		})
	}
}

func TestClient_HTMLPageIsNoSuccess(t *testing.T) {
	c, server, _ := open(t, func(http.ResponseWriter, *http.Request) {}, nil)
	if err := post(c, nil); err != nil {
		t.Errorf("an empty response: got %v, want no error", err)
	}
	server.InjectFault(providertest.Fault{Kind: providertest.HTMLPage, Times: 1})
	if err := post(c, nil); provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("an HTML page in place of an empty response: got %v, want unavailable", err)
	}
}

func TestClient_PausesAfter429(t *testing.T) {
	c, server, slept := open(t, func(w http.ResponseWriter, _ *http.Request) {}, nil)
	server.InjectFault(providertest.Fault{Kind: providertest.Throttled, Times: 1})
	err := post(c, nil)
	if e, is := err.(*provider.Error); !is || e.Kind != provider.KindThrottled || e.RetryAfter != 7*time.Second {
		t.Fatalf("%v", err)
	}
	if err := post(c, nil); provider.KindOf(err) != provider.KindThrottled || len(server.Requests()) != 1 {
		t.Errorf("got %v after %d requests, want throttled after 1", err, len(server.Requests()))
	}
	server.Advance(4 * time.Second)
	if err := post(c, nil); err != nil || len(*slept) != 1 || (*slept)[0] > 3*time.Second {
		t.Errorf("%v, slept %v", err, *slept)
	}
	server.InjectFault(providertest.Fault{Kind: providertest.ThrottledWithoutDelay, Times: 1})
	if e, is := post(c, nil).(*provider.Error); !is || e.RetryAfter != 30*time.Second {
		t.Errorf("%+v", e)
	}
}

func TestClient_OwnLimitPausesNoOthers(t *testing.T) {
	c, server, slept := open(t, func(w http.ResponseWriter, _ *http.Request) {}, nil)
	server.InjectFault(providertest.Fault{Kind: providertest.Throttled, Times: 1})
	err := c.Do(t.Context(), upstream.Request{Method: http.MethodPost, Path: "/things", OwnLimit: true})
	if e, is := err.(*provider.Error); !is || e.Kind != provider.KindThrottled || e.RetryAfter != 7*time.Second {
		t.Fatalf("%v", err)
	}
	if err := c.Get(t.Context(), "/things", nil, nil); err != nil || len(*slept) != 0 {
		t.Errorf("%v, slept %v", err, *slept)
	}
}

func TestClient_Budget(t *testing.T) {
	c, server, slept := open(
		t, func(w http.ResponseWriter, _ *http.Request) {},
		func(c *upstream.Config) { c.Every, c.Burst = time.Hour, 2 },
	)
	for range 2 {
		if err := c.Get(t.Context(), "/", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Get(ctx, "/", nil, nil); provider.KindOf(err) != provider.KindThrottled ||
		len(server.Requests()) != 2 || len(*slept) != 0 {
		t.Errorf("%v after %d requests, slept %v", err, len(server.Requests()), *slept)
	}
	server.Advance(time.Hour)
	if err := c.Get(ctx, "/", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestClient_WriteBudget(t *testing.T) {
	accept := ""
	c, server, slept := open(t, func(
		_ http.ResponseWriter, r *http.Request,
	) {
		accept = r.Header.Get("Accept")
	}, func(c *upstream.Config) {
		c.Every, c.Burst, c.WriteEvery, c.WriteBurst = time.Second, 2, time.Hour, 1
	})
	for range 2 {
		if err := c.Get(t.Context(), "/", nil, nil); err != nil || accept != "application/json" {
			t.Fatalf("%v, accepts %q", err, accept)
		}
	}
	if err := post(c, nil); err != nil || len(*slept) != 0 {
		t.Errorf("%v, slept %v", err, *slept)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Do(
		ctx, upstream.Request{Method: http.MethodDelete, Path: "/"},
	); provider.KindOf(err) != provider.KindThrottled || len(server.Requests()) != 3 {
		t.Errorf("%v after %d requests", err, len(server.Requests()))
	}
	if err := c.Do(
		ctx, upstream.Request{Method: http.MethodGet, Path: "/", Header: http.Header{"Accept": {"text/x"}}},
	); err != nil || accept != "text/x" {
		t.Errorf("%v, accepts %q", err, accept)
	}
}

func TestClient_CredentialGoesToTheHostOnly(t *testing.T) {
	elsewhere := upstreamtest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var log bytes.Buffer
	c, server, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		default:
			http.Error(w, "who is "+r.Header.Get("Authorization")+"?", http.StatusForbidden)
		}
	}, func(c *upstream.Config) { c.Account.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if err := c.Get(t.Context(), "/away", nil, nil); provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("a redirect: got %v, want unavailable", err)
	}
	if n := len(elsewhere.Requests()); n != 0 {
		t.Errorf("got %d requests to another host, want none", n)
	}
	err := c.Get(t.Context(), "/me", nil, nil)
	if provider.KindOf(err) != provider.KindCredentials || strings.Contains(err.Error(), secret) ||
		strings.Contains(log.String(), secret) {
		t.Errorf("%v\n%s", err, log.String())
	}
	if err := c.Get(t.Context(), "@127.0.0.1:1/", nil, nil); provider.KindOf(err) != provider.KindRejected {
		t.Errorf("a path to another host: got %v, want rejected", err)
	}
	server.Settle()
}

func TestClient_StatusKinds(t *testing.T) {
	status := 0
	c, _, _ := open(
		t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) },
		func(c *upstream.Config) { c.Burst = 100 },
	)
	for s, want := range map[int]provider.Kind{
		400: provider.KindRejected, 401: provider.KindCredentials, 402: provider.KindQuota,
		403: provider.KindCredentials, 404: provider.KindNotFound, 405: provider.KindUnsupported,
		408: provider.KindUnavailable, 409: provider.KindRejected, 410: provider.KindNotFound,
		422: provider.KindRejected, 500: provider.KindUnavailable, 503: provider.KindUnavailable,
		302: provider.KindUnavailable,
	} {
		if status = s; provider.KindOf(post(c, nil)) != want {
			t.Errorf("%d: got %s, want %s", s, provider.KindOf(post(c, nil)), want)
		}
	}
	status = 204
	if err := post(c, &struct{}{}); err != nil {
		t.Errorf("an empty response: got %v, want no error", err)
	}
}

func TestList_Recent(t *testing.T) {
	now, fetched, fail := time.Unix(1000, 0), 0, false
	l := upstream.NewList(func() time.Time { return now }, func(context.Context) ([]int, error) {
		fetched++
		if fail {
			return nil, &provider.Error{Kind: provider.KindUnavailable}
		}
		return []int{fetched}, nil
	})
	ask := func(want, fetches int, f func() ([]int, error)) {
		t.Helper()
		if got, err := f(); err != nil || got[0] != want || fetched != fetches {
			t.Errorf("%v, %v after %d fetches; want %d after %d", got, err, fetched, want, fetches)
		}
	}
	recent := func() ([]int, error) { return l.Recent(t.Context(), 10*time.Second) }
	ask(1, 1, recent)
	now = now.Add(9 * time.Second)
	ask(1, 1, recent)
	now = now.Add(2 * time.Second)
	ask(2, 2, recent)
	ask(3, 3, func() ([]int, error) { return l.Fresh(t.Context()) })
	l.Forget()
	ask(4, 4, recent)
	fail = true
	if _, err := l.Fresh(t.Context()); err == nil {
		t.Error("got a list from a failed fetch")
	}
	ask(4, 5, recent)
}

// What a cloud echoes appears in the log, the operator's terminal and the row of a job.
func TestClient_RedactsTheCredential(t *testing.T) {
	for n := 440; n < 520; n++ {
		c, _, _ := open(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, strings.Repeat("x", n)+r.Header.Get("Authorization")+"\x1b[2J")
		}, nil)
		err := post(c, nil)
		if err == nil || strings.Contains(err.Error(), secret[:6]) || strings.Contains(err.Error(), "\x1b") {
			t.Fatalf("after %d letters: %q", n, err)
		}
	}
}
