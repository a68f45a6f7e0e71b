package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A client that waits for a deployment must not hold the server up, and gets an answer.
func TestStopAnswersWaitingRequests(t *testing.T) {
	c := Default()
	c.Listen, c.MetricsListen, c.DataDir, c.Sim, c.Demo, c.Version, c.Log = "127.0.0.1:0", "", t.TempDir(), true, true,
		"test", slog.New(slog.DiscardHandler)
	c.SimMachines = "banner" // this test program is no machine
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	started, ended := make(chan Started, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(s Started) { started <- s }) }()
	var s Started
	select {
	case s = <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"offerId": "off_abc123", "operatingSystem": "Ubuntu 22.04",
		"name": "waits", "ssh_public_key": string(ssh.MarshalAuthorizedKey(key))})
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path string, body []byte) (int, []byte, error) {
		r, err := http.NewRequest(method, s.URL+"/api/v1/inventory/deployments"+path, bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		r.Header.Set("Authorization", "Bearer "+s.Demo.APIKey)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, b, err
	}
	until := func(what string, there func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !there(); {
			if time.Now().After(deadline) {
				t.Fatalf("%s never came", what)
			}
		}
	}
	until("the offer", func() bool { _, found := a.Catalog().Default().Get("off_abc123"); return found })
	status, answer, err := call(http.MethodPost, "", body)
	var made struct{ Data struct{ ID string } }
	if err != nil || status != http.StatusCreated || json.Unmarshal(answer, &made) != nil {
		t.Fatalf("%d %s %v", status, answer, err)
	}
	waited := make(chan string, 1)
	go func() {
		status, answer, err := call(http.MethodGet, "/"+made.Data.ID+"?waitFor=terminated&timeoutSeconds=60", nil)
		waited <- fmt.Sprint(status, err, " ", string(answer))
	}()
	inFlight := func() bool {
		families, err := a.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "billet_http_requests_in_flight" {
				return f.GetMetric()[0].GetGauge().GetValue() > 0
			}
		}
		return false
	}
	until("the long poll", inFlight)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopping is an error: %v", err)
	}
	// Had it been waited for in vain, its connection would have been cut.
	if got := <-waited; !strings.HasPrefix(got, "200 <nil> ") {
		t.Errorf("who waited got %s", got)
	}
}
