package stripetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// Key is the key that the server accepts, and Secret signs its events.
	Key    = "rk_test_billetfake"
	Secret = "whsec_billetfake"
	// keyLife is how long an idempotency key is kept.
	keyLife = 24 * time.Hour
)

// object is an object of Stripe's API, as in JSON.
type object = map[string]any

// Server is the fake.
type Server struct {
	// URL is its address, without a trailing slash.
	URL string

	now func() time.Time
	web *httptest.Server

	mu       sync.Mutex
	serial   int
	objects  map[string]object   // by ID
	kinds    map[string][]string // IDs by kind, oldest first
	cards    map[string]Card     // by payment method
	keys     map[string]kept     // by idempotency key
	pending  []Event             // not yet taken
	faults   []*Fault
	requests []Request
	live     bool
}

// Request is a request that reached the server.
type Request struct {
	Method, Path, IdempotencyKey string
	Header                       http.Header
	Form                         url.Values
}

type kept struct {
	sum    string
	status int
	body   []byte
	at     time.Time
}

// FaultKind is how a request fails.
type FaultKind string

// The kinds of faults.
const (
	// CutBefore closes the connection before the request has an effect, CutAfter afterwards.
	CutBefore FaultKind = "cut before"
	CutAfter  FaultKind = "cut after"
	// InternalError answers 500 without an effect, InternalErrorAfter with it. Both answers are
	// kept with the idempotency key.
	InternalError      FaultKind = "500"
	InternalErrorAfter FaultKind = "500 after"
	Unavailable        FaultKind = "503"
	Conflict           FaultKind = "409"
	TooMany            FaultKind = "429"
	Unauthorized       FaultKind = "401"
	Forbidden          FaultKind = "403"
	// Slow answers when the client has given up.
	Slow FaultKind = "slow"
	// Proxy answers 502 with a page of HTML.
	Proxy FaultKind = "502"
)

// Fault is applied to requests.
type Fault struct {
	Kind FaultKind
	// Method and Prefix choose the requests; "" is all.
	Method, Prefix string
	// Times is how many requests fail; 0 is all.
	Times int

	used int
}

// Start starts a server that ends with the test. now is its clock; nil for the system's.
func Start(t testing.TB, now func() time.Time) *Server {
	t.Helper()
	if now == nil {
		now = time.Now
	}
	s := &Server{
		now: now, objects: map[string]object{}, kinds: map[string][]string{}, cards: map[string]Card{},
		keys: map[string]kept{},
	}
	s.web = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.web.URL
	t.Cleanup(func() {
		s.web.CloseClientConnections()
		s.web.Close()
	})
	return s
}

// Inject applies the fault to requests from now on.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Asked returns how many requests there were.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// Count returns how many objects of a kind there are, such as "payment_intent".
func (s *Server) Count(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kinds[kind])
}

// IDs returns the IDs of the objects of a kind, oldest first.
func (s *Server) IDs(kind string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kinds[kind])
}

// Field returns a field of an object as text; "" if there is none.
func (s *Server) Field(id, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return text(s.objects[id][name])
}

// Set sets a field of an object.
func (s *Server) Set(id, name string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[id][name] = value
}

// SetMode makes all objects from now on those of live mode, or of test mode.
func (s *Server) SetMode(live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = live
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// apiError is a response that is no success.
type apiError struct {
	status int
	fields object
	// unkept: the request was not executed, and its key can be used again.
	unkept bool
}

func invalid(param, code, message string) *apiError {
	status := http.StatusBadRequest
	if code == "resource_missing" {
		status = http.StatusNotFound
		if param == "customer" || param == "payment_method" {
			status = http.StatusBadRequest
		}
	}
	return &apiError{status: status, unkept: true, fields: object{
		"type": "invalid_request_error", "code": code, "param": param, "message": message,
	}}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/pay/") {
		s.page(w, r)
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, _ := url.ParseQuery(string(raw))
	for name, values := range r.URL.Query() {
		form[name] = values
	}
	kind := s.record(r, form)
	switch kind {
	case CutBefore:
		panic(http.ErrAbortHandler)
	case Slow:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Proxy:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><body>Bad Gateway</body></html>")
		return
	case Unavailable, Conflict, TooMany, Unauthorized, Forbidden:
		status, _ := strconv.Atoi(string(kind))
		if kind == Conflict {
			answer(w, status, errorBody(object{
				"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "in use",
			}), false)
			return
		}
		answer(w, status, errorBody(object{"type": "api_error", "message": "fault " + string(kind)}), false)
		return
	}
	status, body, replayed := s.execute(r, form, string(raw), kind)
	if kind == CutAfter {
		panic(http.ErrAbortHandler)
	}
	answer(w, status, body, replayed)
}

// record records a request, and returns the fault that applies to it, or "".
func (s *Server) record(r *http.Request, form url.Values) FaultKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.Path, IdempotencyKey: r.Header.Get("Idempotency-Key"), Header: r.Header.Clone(),
		Form: form,
	})
	for _, f := range s.faults {
		if (f.Method == "" || f.Method == r.Method) && strings.HasPrefix(r.URL.Path, f.Prefix) &&
			(f.Times == 0 || f.used < f.Times) {
			f.used++
			return f.Kind
		}
	}
	return ""
}

// execute runs a request once for each idempotency key.
func (s *Server) execute(r *http.Request, form url.Values, raw string, fault FaultKind) (int, []byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+Key {
		return http.StatusUnauthorized, errorBody(object{
			"type": "invalid_request_error", "message": "Invalid API Key provided",
		}), false
	}
	key := r.Header.Get("Idempotency-Key")
	hash := sha256.Sum256([]byte(r.Method + r.URL.Path + raw))
	sum := hex.EncodeToString(hash[:])
	if k, is := s.keys[key]; key != "" && is && s.now().Sub(k.at) < keyLife {
		if k.sum != sum {
			return http.StatusBadRequest, errorBody(object{
				"type":    "idempotency_error",
				"message": "Keys for idempotent requests can only be used with the same parameters.",
			}), false
		}
		return k.status, k.body, true
	}
	var out object
	var fail *apiError
	if fault != InternalError {
		out, fail = s.route(r, form)
	}
	status, body := http.StatusOK, []byte(nil)
	switch {
	case fault == InternalError || fault == InternalErrorAfter:
		status, body = 500, errorBody(object{"type": "api_error", "message": "internal error"})
	case fail != nil:
		status, body = fail.status, errorBody(fail.fields)
	default:
		body = encode(s.expanded(out, form))
	}
	if key != "" && r.Method == http.MethodPost && (fail == nil || !fail.unkept) {
		s.keys[key] = kept{sum, status, body, s.now()}
	}
	return status, body, false
}

func answer(w http.ResponseWriter, status int, body []byte, replayed bool) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_fake")
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func errorBody(fields object) []byte { return encode(object{"error": fields}) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only objects of this package
	}
	return b
}

func (s *Server) route(r *http.Request, form url.Values) (object, *apiError) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if parts[0] == "checkout" {
		parts = append([]string{"checkout/sessions"}, parts[2:]...)
	}
	post := r.Method == http.MethodPost
	switch {
	case len(parts) == 1 && post:
		create := map[string]func(url.Values) (object, *apiError){
			"customers": s.createCustomer, "checkout/sessions": s.createSession, "payment_intents": s.createIntent,
			"refunds": s.createRefund,
		}[parts[0]]
		if create != nil {
			return create(form)
		}
	case len(parts) == 1:
		return s.list(parts[0], form)
	case len(parts) == 2 && !post:
		return s.get(kindOf[parts[0]], parts[1])
	case len(parts) == 3 && post && parts[2] == "detach":
		return s.detach(parts[1])
	case len(parts) == 3 && post && parts[2] == "expire":
		return s.expire(parts[1])
	case len(parts) == 4 && parts[0] == "customers" && parts[2] == "payment_methods":
		m, fail := s.get("payment_method", parts[3])
		if fail == nil && m["customer"] != parts[1] {
			return nil, invalid("", "resource_missing", "No such PaymentMethod")
		}
		return m, fail
	}
	return nil, &apiError{status: http.StatusNotFound, unkept: true, fields: object{
		"type": "invalid_request_error", "message": "Unrecognized request URL",
	}}
}

// kindOf is the kind of the objects below a path.
var kindOf = map[string]string{
	"customers": "customer", "checkout/sessions": "checkout.session", "payment_intents": "payment_intent",
	"charges": "charge", "refunds": "refund", "disputes": "dispute", "payment_methods": "payment_method",
	"events": "event", "balance_transactions": "balance_transaction",
}

func (s *Server) get(kind, id string) (object, *apiError) {
	o, is := s.objects[id]
	if !is || o["object"] != kind {
		return nil, invalid("id", "resource_missing", "No such "+kind+": '"+id+"'")
	}
	return o, nil
}

// list lists objects, newest first.
func (s *Server) list(path string, form url.Values) (object, *apiError) {
	limit, err := strconv.Atoi(form.Get("limit"))
	if err != nil {
		limit = 10
	}
	data, more, started := []object{}, false, form.Get("starting_after") == ""
	for _, id := range slices.Backward(s.kinds[kindOf[path]]) {
		o := s.objects[id]
		switch {
		case !started:
			started = id == form.Get("starting_after")
		case !matches(o, form):
		case len(data) == limit:
			more = true
		default:
			data = append(data, o)
		}
	}
	return object{"object": "list", "url": "/v1/" + path, "has_more": more, "data": data}, nil
}

func matches(o object, form url.Values) bool {
	for _, name := range []string{"customer", "payment_intent"} {
		if want := form.Get(name); want != "" && text(o[name]) != want {
			return false
		}
	}
	created := o["created"].(int64)
	for bound, ok := range map[string]func(n int64) bool{
		"gte": func(n int64) bool { return created >= n }, "lt": func(n int64) bool { return created < n },
	} {
		if n, err := strconv.ParseInt(form.Get("created["+bound+"]"), 10, 64); err == nil && !ok(n) {
			return false
		}
	}
	var types []string
	for name, values := range form {
		if strings.HasPrefix(name, "types[") {
			types = append(types, values...)
		}
	}
	return len(types) == 0 || slices.Contains(types, text(o["type"]))
}

// expanded returns a copy of the object with the IDs at the paths of expand replaced by objects.
func (s *Server) expanded(o object, form url.Values) object {
	out := clone(o)
	for name, paths := range form {
		if !strings.HasPrefix(name, "expand") {
			continue
		}
		for _, path := range paths {
			s.expand(out, strings.Split(path, "."))
		}
	}
	return out
}

func (s *Server) expand(o object, path []string) {
	if path[0] == "data" {
		for _, one := range o["data"].([]any) {
			s.expand(one.(object), path[1:])
		}
		return
	}
	if id, is := o[path[0]].(string); is && s.objects[id] != nil {
		o[path[0]] = clone(s.objects[id])
	}
	if next, is := o[path[0]].(object); is && len(path) > 1 {
		s.expand(next, path[1:])
	}
}

func clone(o object) object {
	var out object
	d := json.NewDecoder(strings.NewReader(string(encode(o))))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err) // only objects of this package
	}
	return out
}

// add stores a new object under a new ID.
func (s *Server) add(kind, prefix string, o object) object {
	s.serial++
	o["id"] = fmt.Sprintf("%s_fake%06d", prefix, s.serial)
	o["object"], o["created"], o["livemode"] = kind, s.now().Unix(), s.live
	s.objects[o["id"].(string)] = o
	s.kinds[kind] = append(s.kinds[kind], o["id"].(string))
	return o
}

// meta reads the metadata whose names begin with the prefix, which ends with a bracket.
func meta(form url.Values, prefix string) object {
	out := object{}
	for name, values := range form {
		if key, is := strings.CutPrefix(name, prefix); is {
			out[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return out
}

func number(form url.Values, name string) int64 {
	n, _ := strconv.ParseInt(form.Get(name), 10, 64)
	return n
}
