package httpapi

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/prometheus/client_golang/prometheus"
)

func TestEveryCodeHasAStatusAndIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../apierr/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	document := string(Document("test"))
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Code" {
			return true
		}
		found++
		code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if s := rest.StatusOf(apierr.Code(code)); s < 400 || s > 599 {
			t.Errorf("%s has status %d", code, s)
		}
		if !strings.Contains(document, "`"+code+"`") {
			t.Errorf("%s is not in the document", code)
		}
		return true
	})
	if found != len(rest.Codes) {
		t.Errorf("%d codes in package apierr, %d in the table", found, len(rest.Codes))
	}
}

func TestEveryFailureIsAnEnvelope(t *testing.T) {
	w := newWorld(t)
	keys := Base + "/ssh-keys"
	for _, c := range []struct {
		name, method, target string
		body                 any
		options              []option
		status               int
		code                 apierr.Code
	}{
		{name: "unknown route", method: "GET", target: Base + "/nothing", status: 404, code: apierr.NotFound},
		{name: "unknown prefix", method: "GET", target: "/api/v9", status: 404, code: apierr.NotFound},
		{name: "root", method: "GET", target: "/", status: 404, code: apierr.NotFound},
		{name: "slash at the end", method: "GET", target: Base + "/offers/", status: 404, code: apierr.NotFound},
		{name: "double slash", method: "GET", target: Base + "//offers", status: 404, code: apierr.NotFound},
		{name: "dots", method: "GET", target: Base + "/x/../offers", status: 404, code: apierr.NotFound},
		{name: "encoded slash", method: "GET", target: Base + "/offers/a%2Fb", status: 404, code: apierr.NotFound},
		{name: "NUL in an id", method: "GET", target: keys + "/ssh_%00", status: 404, code: apierr.NotFound},
		{name: "broken UTF-8 in an id", method: "GET", target: keys + "/%ff", status: 404, code: apierr.NotFound},
		{name: "wrong method", method: "PUT", target: keys, body: "{}", status: 405, code: apierr.MethodNotAllowed},
		{name: "strange method", method: "BREW", target: keys, status: 405, code: apierr.MethodNotAllowed},
		{name: "options", method: "OPTIONS", target: keys, status: 405, code: apierr.MethodNotAllowed},
		{name: "post to the page", method: "POST", target: "/docs", body: "{}", status: 405,
			code: apierr.MethodNotAllowed},
		{name: "bad JSON", method: "POST", target: keys, body: `{"name":`, status: 400, code: apierr.InvalidRequest},
		{name: "no body", method: "POST", target: keys, status: 400, code: apierr.InvalidRequest},
		{name: "form", method: "POST", target: keys, body: "name=x",
			options: []option{header("Content-Type",
				"application/x-www-form-urlencoded")}, status: 415, code: apierr.UnsupportedMediaType},
		{name: "latin-1", method: "POST", target: keys, body: "{}",
			options: []option{header("Content-Type",
				"application/json; charset=latin1")}, status: 415, code: apierr.UnsupportedMediaType},
		{name: "gzip", method: "POST", target: keys, body: "{}", options: []option{header("Content-Encoding", "gzip")},
			status: 415, code: apierr.UnsupportedMediaType},
		{name: "ten megabytes", method: "POST", target: keys, body: `{"name":"` + strings.Repeat("x", 10<<20) + `"}`,
			status: 413, code: apierr.RequestTooLarge},
		{name: "one byte too many", method: "POST", target: keys, body: strings.Repeat(" ", rest.MaxBody+1),
			status: 413, code: apierr.RequestTooLarge},
		{name: "just not too large", method: "POST", target: keys, body: strings.Repeat(" ", rest.MaxBody), status: 400,
			code: apierr.InvalidRequest},
		{name: "large body where none is taken", method: "DELETE", target: keys + "/ssh_a",
			body: strings.Repeat(" ", rest.MaxBody+1), status: 413, code: apierr.RequestTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			r := w.do(w.ada, c.method, c.target, c.body, c.options...)
			if r.status != c.status || r.code != string(c.code) || r.error["message"] == "" {
				t.Errorf("status %d, code %s: %s", r.status, r.code, r.body)
			}
			if c.status == 405 && !strings.Contains(r.header.Get("Allow"), "GET") {
				t.Errorf("Allow: %q", r.header.Get("Allow"))
			}
			if r.header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another site's page may read the answer")
			}
		})
	}
}

func TestMissingContentTypeIsJSON(t *testing.T) {
	w := newWorld(t)
	w.want(
		201,
		w.ada,
		"POST",
		Base+"/ssh-keys",
		map[string]string{"name": "a", "publicKey": publicKey(t)},
		func(r *http.Request) { r.Header.Del("Content-Type") },
	)
	w.want(
		201,
		w.ada,
		"POST",
		Base+"/ssh-keys",
		map[string]string{"name": "b", "publicKey": publicKey(t)},
		header("Content-Type", "application/json; charset=UTF-8"),
	)
}

// injected is a world with one more route, whose handler is given.
func injected(t *testing.T, h rest.ServeFunc, configure ...func(c *Config)) *world {
	w := newWorld(t)
	for _, change := range configure {
		w.configure(change)
	}
	rest.Upgrade(
		w.s.Router,
		rest.Operation{
			Method: "GET",
			Path:   Base + "/injected",
			ID:     "injected",
			Tag:    tagService,
			Scope:  string(account.ReadOffers),
		},
		func(ctx context.Context, w http.ResponseWriter, c *rest.Call, _ *rest.NoInput,
			_ []apierr.FieldError) (rest.Answer, error) {
			return h(ctx, w, c)
		},
	)
	return w
}

// serve makes a request to the injected route, which the document does not know.
func (w *world) serve(method string) (reply, any) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	r := w.request(w.ada, method, Base+"/injected", nil)
	var panicked any
	func() {
		defer func() { panicked = recover() }()
		w.s.ServeHTTP(rec, r)
	}()
	return w.examine(r, rec.Result()), panicked
}

func TestAPanicIsA500WithoutInternals(t *testing.T) {
	w := injected(t, func(context.Context, http.ResponseWriter, *rest.Call) (rest.Answer, error) {
		panic("a secret of the server")
	})
	r, panicked := w.serve("GET")
	details, _ := r.error["details"].(map[string]any)
	if r.status != 500 || r.code != "INTERNAL_ERROR" || panicked != nil ||
		details["requestId"] != r.header.Get("X-Request-Id") {
		t.Errorf("%d %s %v", r.status, r.body, panicked)
	}
	if strings.Contains(string(r.body), "secret") || !strings.Contains(w.log.String(), "a secret of the server") {
		t.Error("the cause belongs in the log and nowhere else")
	}
}

func TestAPanicInTheMiddleOfAnAnswerBreaksTheConnection(t *testing.T) {
	w := injected(t, func(_ context.Context, w http.ResponseWriter, _ *rest.Call) (rest.Answer, error) {
		_, _ = w.Write([]byte("half"))
		panic("late")
	})
	rec := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("panicked with %v", p)
		}
	}()
	w.s.ServeHTTP(rec, w.request(w.ada, "GET", Base+"/injected", nil))
}

func TestAnInternalErrorIsNotShown(t *testing.T) {
	w := injected(t, func(context.Context, http.ResponseWriter, *rest.Call) (rest.Answer, error) {
		return rest.Answer{}, errors.New("dial tcp 10.0.0.3:5432 password=hunter2")
	})
	r, _ := w.serve("GET")
	if r.status != 500 || strings.Contains(string(r.body), "hunter2") || strings.Contains(string(r.body), "10.0.0.3") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestACallThatTakesTooLongIsGivenUp(t *testing.T) {
	w := injected(t, func(ctx context.Context, _ http.ResponseWriter, _ *rest.Call) (rest.Answer, error) {
		<-ctx.Done()
		return rest.Answer{}, ctx.Err()
	}, func(c *Config) { c.Timeout = time.Millisecond })
	r, _ := w.serve("GET")
	if r.status != 503 || r.code != "SERVICE_UNAVAILABLE" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	w := newWorld(t)
	r := w.request(w.ada, "POST", Base+"/ssh-keys", nil)
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"name"`), errorReader{io.ErrUnexpectedEOF}))
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, r)
	if got := w.examine(r, rec.Result()); got.status != 400 || !slices.Contains(got.fields(), "body") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

func TestABodyThatTricklesInIsGivenUp(t *testing.T) {
	w := newWorld(t)
	// The deadline of the connection has passed when the body is read; that of the call has not.
	w.configure(func(c *Config) {
		c.Timeout = time.Minute
		c.Real = func() time.Time { return time.Now().Add(-time.Minute) }
	})
	server := httptest.NewServer(w.s)
	defer server.Close()
	reader, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+Base+"/ssh-keys", reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.ada.secret)
	r.Header.Set("Content-Type", "application/json")
	go func() { _, _ = writer.Write([]byte(`{"name":`)) }()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := w.examine(r, resp); got.status != 408 || got.code != "REQUEST_TIMEOUT" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	w := newWorld(t)
	get := w.want(200, w.ada, "GET", Base+"/offers", nil)
	head := w.do(w.ada, "HEAD", Base+"/offers", nil)
	if head.status != 200 || head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) {
		t.Errorf("%d, Content-Length %s, want %d", head.status, head.header.Get("Content-Length"), len(get.body))
	}
}

func TestTheLogHoldsNoSecrets(t *testing.T) {
	w := newWorld(t)
	w.want(201, w.ada, "POST", Base+"/ssh-keys", map[string]string{"name": "laptop-of-ada", "publicKey": publicKey(t)})
	w.want(404, w.ada, "GET", Base+"/deployments/dep_secretlooking?waitFor=running", nil)
	log := w.log.String()
	for _, secret := range []string{w.ada.secret, "laptop-of-ada", "dep_secretlooking", "ssh-ed25519"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for _, fact := range []string{`"route":"/api/v1/inventory/deployments/{id}"`, `"status":404`, `"code":"NOT_FOUND"`,
		string(w.ada.key.ID), `"requestId":"req_`} {
		if !strings.Contains(log, fact) {
			t.Errorf("the log lacks %s", fact)
		}
	}
}

func TestMetricsAreByRoute(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.do(w.ada, "GET", Base+"/ssh-keys/ssh_x", nil)
	}
	w.do(tenant{}, "BREW", "/wp-login.php", nil)
	families, err := w.c.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		text.WriteString(f.String())
	}
	for _, fact := range []string{"/api/v1/inventory/ssh-keys/{id}", `value:"none"`, `value:"OTHER"`} {
		if !strings.Contains(text.String(), fact) {
			t.Errorf("no %s in the metrics", fact)
		}
	}
	if strings.Contains(text.String(), "wp-login") || strings.Contains(text.String(), "ssh_x") {
		t.Error("a URL is a label")
	}
}
