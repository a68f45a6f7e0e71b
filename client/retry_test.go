package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billetcloud/billet/client"
)

const key = "pk_live_secret"

// world is a server with scripted responses, and a client whose waits take no time.
type world struct {
	*client.Client
	url     string
	asked   []*http.Request
	bodies  []string
	slept   []time.Duration
	retries []client.Retry
	now     time.Time
}

// answers creates a world. Each request gets the next step; the last one is repeated.
func answers(t *testing.T, change func(*client.Config), steps ...http.HandlerFunc) *world {
	t.Helper()
	w := &world{now: time.Now()}
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock() // a request that was given up may not have ended when the next one comes
		w.asked, w.bodies = append(w.asked, r), append(w.bodies, string(b))
		step := steps[min(len(w.asked), len(steps))-1]
		mu.Unlock()
		step(out, r)
	}))
	t.Cleanup(s.Close)
	w.url = s.URL
	config := client.Config{
		BaseURL: s.URL, APIKey: key,
		// A connection that is used again is one on which net/http tries again by itself.
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Now:        func() time.Time { return w.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			w.slept, w.now = append(w.slept, d), w.now.Add(d)
			return ctx.Err()
		},
		OnRetry: func(r client.Retry) { w.retries = append(w.retries, r) },
	}
	if change != nil {
		change(&config)
	}
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.Client = c
	return w
}

func say(status int, body string, headers ...string) http.HandlerFunc {
	return func(out http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			out.Header().Set(headers[i], headers[i+1])
		}
		out.WriteHeader(status)
		_, _ = io.WriteString(out, body)
	}
}

func data(body string) http.HandlerFunc {
	return say(http.StatusOK, `{"success":true,"data":`+body+`}`)
}

func refusal(status int, code string, headers ...string) http.HandlerFunc {
	return say(status, `{"success":false,"error":{"code":"`+code+`","message":"No."}}`, headers...)
}

// lost ends the connection without a response.
func lost(out http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(out).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// cut ends the connection in the middle of a response.
func cut(out http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(out).Hijack()
	if err == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"success\":true,")
		_ = conn.Close()
	}
}

func TestPostIsRetriedUnchanged(t *testing.T) {
	w := answers(
		t,
		nil,
		lost,
		cut,
		say(502, "<html>bad gateway</html>"),
		refusal(503, "SERVICE_UNAVAILABLE", "Retry-After", "7"),
		data(`{"id":"dep_1"}`),
	)
	var r client.Response
	d, err := w.Deployments.Create(t.Context(), client.CreateDeployment{Name: "a", OfferID: "off_1"},
		client.WithResponse(&r))
	if err != nil || d.ID != "dep_1" {
		t.Fatalf("%v, %v", d, err)
	}
	if len(w.asked) != 5 || r.Attempts != 5 || len(w.slept) != 4 || len(w.retries) != 4 || r.IdempotencyKey == "" {
		t.Fatalf("%d requests, %d pauses, %+v", len(w.asked), len(w.slept), r)
	}
	for i, q := range w.asked {
		if q.Header.Get("Idempotency-Key") != r.IdempotencyKey || w.bodies[i] != w.bodies[0] {
			t.Errorf("try %d has key %q and body %s", i+1, q.Header.Get("Idempotency-Key"), w.bodies[i])
		}
	}
	// The last one is Retry-After.
	for i, want := range []struct{ least, most time.Duration }{
		{250 * time.Millisecond, 500 * time.Millisecond},
		{500 * time.Millisecond, time.Second},
		{time.Second, 2 * time.Second},
		{7 * time.Second, 8 * time.Second},
	} {
		if w.slept[i] < want.least || w.slept[i] > want.most {
			t.Errorf("pause %d was %s, want from %s to %s", i+1, w.slept[i], want.least, want.most)
		}
	}
	if got := w.retries[2]; got.Attempt != 3 || got.Method != "POST" || got.Path != "/deployments" ||
		got.Wait != w.slept[2] ||
		got.Err == nil {
		t.Errorf("told of %+v", got)
	}
}

func TestWithIdempotencyKey(t *testing.T) {
	w := answers(t, nil, data(`{"id":"dep_1"}`))
	for _, options := range [][]client.CallOption{nil, nil, {client.WithIdempotencyKey("mine")}} {
		if _, err := w.Deployments.Reboot(t.Context(), "dep_1", options...); err != nil {
			t.Fatal(err)
		}
	}
	a, b, c := w.asked[0].Header.Get(
		"Idempotency-Key",
	), w.asked[1].Header.Get("Idempotency-Key"), w.asked[2].Header.Get("Idempotency-Key")
	if a == b || len(a) < 20 || c != "mine" {
		t.Errorf("keys %q, %q, %q", a, b, c)
	}
	for _, bad := range []string{"with space", strings.Repeat("x", 256), "ü"} {
		if _, err := w.Deployments.Reboot(t.Context(), "dep_1", client.WithIdempotencyKey(bad)); !errors.Is(
			err,
			client.ErrInvalidRequest,
		) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if len(w.asked) != 3 {
		t.Error("a bad key was sent")
	}
}

func TestRetryableErrors(t *testing.T) {
	for status, again := range map[int]bool{
		400: false, 401: false, 402: false, 403: false, 404: false, 408: false, 409: false,
		500: false, 301: false, 429: true, 502: true, 503: true, 504: true,
	} {
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			w := answers(
				t,
				nil,
				refusal(status, "SOME_CODE", "X-Request-Id", "req_1", "Location", "/elsewhere"),
				data(`{"id":"dep_1"}`),
			)
			var err error
			switch ctx := t.Context(); method {
			case "GET":
				_, err = w.Deployments.Get(ctx, "dep_1")
			case "POST":
				_, err = w.Deployments.PowerOn(ctx, "dep_1")
			case "PATCH":
				_, err = w.Deployments.Update(ctx, "dep_1", client.UpdateDeployment{Name: "b"})
			case "DELETE":
				_, err = w.Deployments.Terminate(ctx, "dep_1")
			}
			if (err == nil) != again {
				t.Errorf("%s, %d: %v", method, status, err)
			}
			if e, is := errors.AsType[*client.Error](err); !again &&
				(!is || e.StatusCode != status || e.RequestID != "req_1" || len(w.asked) != 1) {
				t.Errorf("%s, %d: %v after %d requests", method, status, err, len(w.asked))
			}
		}
	}
}

func TestMaxRetries(t *testing.T) {
	for given, requests := range map[int]int{0: 1 + client.DefaultMaxRetries, 2: 3, -1: 1} {
		w := answers(t, func(c *client.Config) { c.MaxRetries = given }, refusal(503, "SERVICE_UNAVAILABLE"))
		if _, err := w.Wallet.Get(t.Context()); !errors.Is(err, client.ErrServiceUnavailable) ||
			len(w.asked) != requests {
			t.Errorf("MaxRetries %d: %d requests, %v", given, len(w.asked), err)
		}
	}
	w := answers(t, nil, refusal(429, "RATE_LIMIT_EXCEEDED", "Retry-After", "3600"))
	_, err := w.Wallet.Get(t.Context())
	if e, is := errors.AsType[*client.Error](err); !is || e.RetryAfter != time.Hour || len(w.slept) != 0 ||
		len(w.asked) != 1 {
		t.Errorf("an hour to wait: %v, waited %v", err, w.slept)
	}
	at := time.Now().Add(20 * time.Second)
	w = answers(t, func(c *client.Config) { c.Now = func() time.Time { return at.Add(-20 * time.Second) } },
		refusal(503, "SERVICE_UNAVAILABLE", "Retry-After", at.UTC().Format(http.TimeFormat)), data(`{}`))
	if _, err := w.Wallet.Get(t.Context()); err != nil || len(w.slept) != 1 || w.slept[0] < 19*time.Second ||
		w.slept[0] > 22*time.Second { // a date has no fractions, and a pause some more
		t.Errorf("a date to wait for: %v, waited %v", err, w.slept)
	}
}

func TestContextEndsRetries(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := answers(t, func(c *client.Config) {
		c.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	}, refusal(503, "SERVICE_UNAVAILABLE"))
	_, err := w.Wallet.Get(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, client.ErrServiceUnavailable) || len(w.asked) != 1 {
		t.Errorf("cancelled in a pause: %v", err)
	}
	// What cannot be waited for is told at once, and better than by a deadline.
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w = answers(t, nil, refusal(429, "RATE_LIMIT_EXCEEDED", "Retry-After", "90"))
	if _, err := w.Wallet.Get(ctx); !errors.Is(err, client.ErrRateLimitExceeded) || len(w.slept) != 0 {
		t.Errorf("a wait beyond the deadline: %v, waited %v", err, w.slept)
	}
	ctx, cancel = context.WithCancel(t.Context())
	w = answers(t, nil, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := w.Wallet.Get(ctx); !errors.Is(err, context.Canceled) || len(w.asked) != 1 {
		t.Errorf("cancelled in a request: %v", err)
	}
}

func TestTimeoutIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var retries []client.Retry
		asked := 0
		c, err := client.New(client.Config{
			BaseURL: "https://billet.test", APIKey: key, Timeout: 7 * time.Second,
			OnRetry: func(r client.Retry) { retries = append(retries, r) },
			HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if asked++; asked == 1 {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				out := httptest.NewRecorder()
				data(`{"balance":1.5}`)(out, r)
				return out.Result(), nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Wallet.Get(t.Context())
		if err != nil || got.Balance != client.Dollar*3/2 || len(retries) != 1 {
			t.Fatalf("Get: got %v, %v after %d retries, want $1.50 after 1", got, err, len(retries))
		}
		if cause := retries[0].Err; errors.Is(cause, context.Canceled) ||
			!strings.Contains(cause.Error(), "no response within 7s") {
			t.Errorf("OnRetry: got %v, want the time limit", cause)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDeleteAfterLostResponse(t *testing.T) {
	w := answers(t, nil, lost, refusal(404, "NOT_FOUND"))
	if err := w.SSHKeys.Delete(t.Context(), "ssh_1"); err != nil {
		t.Errorf("after a lost answer: %v", err)
	}
	w = answers(t, nil, refusal(429, "RATE_LIMIT_EXCEEDED"), refusal(404, "NOT_FOUND"))
	if err := w.SSHKeys.Delete(t.Context(), "ssh_1"); !errors.Is(err, client.ErrNotFound) || len(w.asked) != 2 {
		t.Errorf("after a refusal: %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		followed.Add(1)
		data(`{"id":"dep_1"}`)(out, r)
	}))
	defer other.Close()
	own := &http.Client{}
	w := answers(t, func(c *client.Config) { c.HTTPClient = own }, say(301, "", "Location", other.URL))
	_, err := w.Deployments.Reboot(t.Context(), "dep_1")
	if e, is := errors.AsType[*client.Error](err); !is || e.StatusCode != 301 || e.Code != "" ||
		!strings.Contains(e.Message, other.URL) ||
		followed.Load() != 0 {
		t.Errorf("%v; %d came there", err, followed.Load())
	}
	if own.CheckRedirect != nil {
		t.Error("the caller's HTTP client was changed")
	}
}

func TestError(t *testing.T) {
	w := answers(
		t,
		nil,
		say(
			400,
			`{"success":false,"error":{"code":"INVALID_REQUEST",
			"message":"The request has 2 faults; the first: name: is missing.",
			"details":{"fields":[{"field":"name","message":"is missing."},{"field":"gpuCount","message":"is 8."}],
			"exact":9007199254740993}}}`,
			"X-Request-Id",
			"req_7",
			"X-RateLimit-Limit",
			"5",
			"X-RateLimit-Remaining",
			"4",
			"X-RateLimit-Reset",
			"1900000000",
		),
	)
	var r client.Response
	_, err := w.Deployments.Create(t.Context(), client.CreateDeployment{}, client.WithResponse(&r))
	e, is := errors.AsType[*client.Error](err)
	if !is || !errors.Is(err, client.ErrInvalidRequest) || errors.Is(err, client.ErrConflict) {
		t.Fatal(err)
	}
	if len(e.Fields) != 2 || e.Fields[1].Field != "gpuCount" || fmt.Sprint(e.Details["exact"]) != "9007199254740993" {
		t.Errorf("%+v", e)
	}
	for _, part := range []string{"INVALID_REQUEST", "name: is missing.", "gpuCount: is 8.", "req_7"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %s", err, part)
		}
	}
	if want := (client.Rate{Limit: 5, Remaining: 4, Reset: time.Unix(1900000000, 0).UTC()}); r.Rate != want ||
		r.RequestID != "req_7" ||
		r.StatusCode != 400 {
		t.Errorf("%+v", r)
	}
	w = answers(t, nil, say(200, "<html>welcome</html>"))
	if _, err := w.Wallet.Get(t.Context()); err == nil || len(w.asked) != 1 {
		t.Errorf("a web page: %v", err)
	}
	for _, body := range []string{
		`{"success":true}`, `{"data":{}}`,
		`{"success":true,"data":{"balance":"1"}}`, `{"success":true,"data":{"balance":0.0000001}}`,
	} {
		w = answers(t, nil, say(200, body))
		if got, err := w.Wallet.Get(t.Context()); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestResponseTooLarge(t *testing.T) {
	w := answers(t, nil, say(200, `{"success":true,"data":{}}`+strings.Repeat(" ", 32<<20)))
	if _, err := w.Wallet.Get(t.Context()); err == nil || !strings.Contains(err.Error(), "too large") ||
		len(w.asked) != 1 {
		t.Errorf("%v after %d requests", err, len(w.asked))
	}
}

func TestInvalidIDs(t *testing.T) {
	w := answers(t, nil, data(`{}`))
	for _, id := range []string{
		"", ".", "..", "../wallet", "a/b", "dep_1?when=now", "dep_1#", "ü", strings.Repeat("x", 101),
	} {
		_, err := w.Deployments.Terminate(t.Context(), id)
		if e, is := errors.AsType[*client.Error](err); !is || !errors.Is(err, client.ErrInvalidRequest) ||
			e.StatusCode != 0 {
			t.Errorf("%q: %v", id, err)
		}
	}
	if len(w.asked) != 0 {
		t.Errorf("%d requests were sent", len(w.asked))
	}
}

func TestAPIKeyIsNeverPrinted(t *testing.T) {
	config := client.Config{BaseURL: "http://127.0.0.1:1", APIKey: key, MaxRetries: -1}
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	_, failed := c.Wallet.Get(t.Context())
	if failed == nil {
		t.Fatal("the request was sent")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format+format+format, c, config, failed); strings.Contains(text, key) {
			t.Errorf("%s", text)
		}
	}
}

func TestNew_invalidConfig(t *testing.T) {
	for _, url := range []string{
		"", "billet.example", "ftp://billet.example", "https://",
		"https://me:password@billet.example", "https://billet.example?a=b", "https://billet.example/#x", "http://[::1",
	} {
		if _, err := client.New(client.Config{BaseURL: url, APIKey: key}); err == nil ||
			strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, bad := range []string{"", "pk_live_\n", "pk live", "pk_ü"} {
		if _, err := client.New(client.Config{BaseURL: "https://billet.example", APIKey: bad}); err == nil {
			t.Errorf("the key %q was taken", bad)
		}
	}
	t.Setenv("BILLET_URL", " https://billet.example/ ")
	t.Setenv("BILLET_API_KEY", key+"\n")
	if c, err := client.New(client.ConfigFromEnv()); err != nil ||
		c.String() != "client.Client(https://billet.example/api/v1/inventory)" {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := client.New(client.Config{BaseURL: "https://proxy.example/gpu/v1/", APIKey: key}); err != nil ||
		c.String() != "client.Client(https://proxy.example/gpu/v1)" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestAllIteratesOverPages(t *testing.T) {
	page := func(n string, ids ...string) http.HandlerFunc {
		var items []string
		for _, id := range ids {
			items = append(items, `{"id":"`+id+`"}`)
		}
		return say(
			200,
			`{"success":true,"data":[`+strings.Join(
				items,
				",",
			)+`],"pagination":{"page":`+n+`,"limit":2,"total":5,"totalPages":3}}`,
		)
	}
	// A new entry comes at the front after the first page, and moves b to the second one.
	steps := []http.HandlerFunc{page("1", "a", "b"), page("2", "b", "c"), page("3", "d")}
	w := answers(t, nil, steps...)
	got := ""
	for d, err := range w.Deployments.All(t.Context(), client.DeploymentQuery{Tag: "x"}) {
		if err != nil {
			t.Fatal(err)
		}
		got += d.ID
	}
	if got != "abcd" || w.asked[0].URL.Query().Get("limit") != "100" || w.asked[2].URL.Query().Get("page") != "3" ||
		w.asked[2].URL.Query().Get("tag") != "x" {
		t.Errorf("%s by %s", got, w.asked[2].URL)
	}
	w = answers(t, nil, steps...)
	for range w.Deployments.All(t.Context(), client.DeploymentQuery{}) {
		break
	}
	if len(w.asked) != 1 {
		t.Errorf("%d pages were asked for by who left at once", len(w.asked))
	}
	w = answers(t, nil, steps[0], refusal(403, "INSUFFICIENT_SCOPE"))
	var last error
	for _, err := range w.Deployments.All(t.Context(), client.DeploymentQuery{}) {
		last = err
	}
	if !errors.Is(last, client.ErrInsufficientScope) || len(w.asked) != 2 {
		t.Errorf("%v after %d pages", last, len(w.asked))
	}
}
