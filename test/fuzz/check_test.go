package fuzz_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxErrors is the number of errors after which a run stops.
const maxErrors = 5

// wrong reports an error with its request and how to repeat it.
func (f *fuzzer) wrong(r *request, a reply, format string, args ...any) {
	f.t.Helper()
	f.faults++
	shown := a.body
	if len(shown) > 1500 {
		shown = append(slices.Clone(shown[:1500]), "…"...)
	}
	status, header := 0, http.Header(nil)
	if a.Response != nil {
		status, header = a.StatusCode, a.Header
	}
	f.t.Errorf(
		"seed %d, request %d, by %s: %s\n%s\nanswered: %d %v\n%s", f.seed, f.sent, r.who.name,
		fmt.Sprintf(format, args...), r.command(f.server.URL), status, header, shown,
	)
}

// step makes one request, checks its answer, and repeats it if the second answer is known.
func (f *fuzzer) step() {
	r := f.make()
	f.sent++
	a, served, good := f.send(r)
	if !good {
		return
	}
	if served != nil && served.ID == "suspendAccount" && a.StatusCode < 300 {
		f.resume(r) // a suspended account is refused nearly everything, and would be so for the rest of the run
	}
	switch {
	case a.StatusCode < 300 && r.method == http.MethodGet && served != nil && f.in(5):
		f.again(r, a)
	case a.StatusCode < 300 && r.method == http.MethodGet && served != nil && f.in(20):
		f.head(r, a)
	case r.key != "" && served == r.op && kept(a.StatusCode) && a.Header.Get("Idempotent-Replayed") == "" && f.in(2):
		f.replay(r, a)
	}
}

func kept(status int) bool { return status < 300 || status == 402 || status == 404 || status == 409 }

// send makes the request and performs all checks that hold for any answer. good is false if no
// further check applies.
func (f *fuzzer) send(r *request) (a reply, served *operation, good bool) {
	sent := time.Now()
	a, err := f.wire.ask(r.bytes(), r.method)
	if err != nil {
		f.wrong(r, a, "%v", err)
		return a, nil, false
	}
	if a, err = plain(r, a); err != nil {
		f.wrong(r, a, "%v", err)
		return a, nil, false
	}
	served, methods := f.route(r)
	name := "none"
	if served != nil {
		name = served.ID
	}
	f.statuses[fmt.Sprintf("%s %d", name, a.StatusCode)]++
	before := f.faults
	f.checkHeaders(r, a, served, sent)
	f.checkStatus(r, a, served, methods)
	f.checkBody(r, a, served)
	if served != nil && a.StatusCode < 300 {
		f.learn(r, a, served)
	}
	switch {
	case served == nil || r.who != f.user:
	case a.StatusCode == 401: // it was signed out, or the session has expired
		f.signIn()
	case a.StatusCode < 300 && served.ID == "startAccountView": // this session sees another account from now on
		f.signIn()
	}
	return a, served, f.faults == before
}

// plain returns the answer without compression.
func plain(r *request, a reply) (reply, error) {
	if a.Header.Get("Content-Encoding") != "gzip" || r.method == http.MethodHead {
		return a, nil
	}
	if !r.has("Accept-Encoding") {
		return a, errors.New("it is compressed without a request")
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return a, fmt.Errorf("it is said to be compressed: %w", err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		return a, fmt.Errorf("it is said to be compressed: %w", err)
	}
	resp := *a.Response
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return reply{&resp, body}, nil
}

// route returns the operation that serves the request, and the methods of its path.
func (f *fuzzer) route(r *request) (*operation, []string) {
	if r.raw != nil || r.unread {
		return nil, nil
	}
	u, err := url.Parse(r.path)
	if err != nil {
		return nil, nil
	}
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		if segments[i], err = url.PathUnescape(s); err != nil ||
			(i > 0 && (segments[i] == "" || segments[i] == "." || segments[i] == "..")) {
			return nil, nil
		}
	}
	if strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/./") ||
		strings.Contains(u.Path+"/", "/../") || strings.HasSuffix(u.Path, "/") {
		return nil, nil
	}
	return f.doc.at(r.method, segments)
}

var requestID = regexp.MustCompile(`^req_[0-9a-z]{26}$`)

func (f *fuzzer) checkHeaders(r *request, a reply, served *operation, sent time.Time) {
	id := a.Header.Get("X-Request-Id")
	if !requestID.MatchString(id) || f.ids[id] || len(a.Header.Values("X-Request-Id")) != 1 {
		f.wrong(r, a, "its request id is %q, which is none or was there before", id)
	}
	f.ids[id] = true
	f.checkLimits(r, a, served, sent)
	f.checkRetryAfter(r, a)
	if a.StatusCode == 401 && a.Header.Get("WWW-Authenticate") == "" {
		f.wrong(r, a, "WWW-Authenticate is missing")
	}
	if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Access-Control-Allow-Origin") != "" {
		f.wrong(r, a, "a browser could misuse it")
	}
}

func (f *fuzzer) checkLimits(r *request, a reply, served *operation, sent time.Time) {
	var limit [3]int64
	for i, name := range []string{"Limit", "Remaining", "Reset"} {
		n, err := strconv.ParseInt(a.Header.Get("X-RateLimit-"+name), 10, 64)
		if limit[i] = n; err != nil || n < 0 || len(a.Header.Values("X-RateLimit-"+name)) != 1 {
			f.wrong(r, a, "X-RateLimit-%s is %q", name, a.Header.Get("X-RateLimit-"+name))
		}
	}
	most := limit[0] - 1 // this request counts
	if served != nil && served.ID == "createDeployment" && a.StatusCode == 503 {
		most++ // a deploy that failed for an internal reason does not count
	}
	if limit[0] < 1 || limit[1] > most || limit[2] < sent.Unix()-1 || limit[2] > time.Now().Unix()+62 {
		f.wrong(r, a, "its limits are %v", limit)
	}
	if over := a.StatusCode == 429; over != (limit[1] == 0 && over) {
		f.wrong(r, a, "it is over the limit, of which %d are left", limit[1])
	}
}

func (f *fuzzer) checkRetryAfter(r *request, a reply) {
	wait := a.Header.Get("Retry-After")
	n, err := strconv.Atoi(wait)
	must := a.StatusCode == 429 || a.StatusCode == 503
	if must && (err != nil || n < 1) || !must && wait != "" && a.StatusCode != 400 {
		f.wrong(r, a, "Retry-After is %q", wait)
	}
}

// mailed are the calls that answer 503 on a server without a mail server, such as the fuzzer's.
var mailed = map[string]bool{
	"createRegistration": true, "createPasswordReset": true, "inviteUser": true, "testMail": true,
}

// unavailable reports whether an answer says, as it may, that something outside the server is
// missing.
func (f *fuzzer) unavailable(a reply, served *operation) bool {
	return a.StatusCode == 503 && (f.armed || served != nil && mailed[served.ID])
}

// public are the calls whose answer is the same for everyone, and may be cached.
var public = map[string]bool{"getSite": true, "getPublicPrices": true, "getPublicStatus": true, "getPublicLedger": true}

func (f *fuzzer) checkStatus(r *request, a reply, served *operation, methods []string) {
	switch {
	case a.StatusCode >= 500 && !f.unavailable(a, served):
		f.wrong(r, a, "an internal error")
	case len(r.bad) > 0 && a.StatusCode < 400:
		f.wrong(r, a, "it succeeded although %s", strings.Join(r.bad, ", and "))
	case r.status != 0 && a.StatusCode != r.status && a.StatusCode != 429 && !(r.raw == nil && a.StatusCode == 400):
		f.wrong(r, a, "its status should be %d", r.status)
	case served != nil:
		if _, declared := served.codesAt(a.StatusCode); !declared {
			f.wrong(r, a, "the document has no %d for %s", a.StatusCode, served.ID)
		}
	case r.raw != nil || r.unread:
	case len(methods) > 0:
		f.checkMethodNotAllowed(r, a, methods)
	case a.StatusCode < 300 || a.StatusCode == http.StatusNotModified && r.has("If-None-Match"):
		if !mayBePage(r.path) {
			f.wrong(r, a, "the document has no such path")
		}
	case !slices.Contains([]int{400, 404, 405, 413, 429}, a.StatusCode):
		f.wrong(r, a, "no operation has its path")
	}
}

// mayBePage reports whether a path that the document lacks may have an answer.
func mayBePage(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Path != "/api" && !strings.HasPrefix(u.Path, "/api/")
}

func (f *fuzzer) checkMethodNotAllowed(r *request, a reply, methods []string) {
	if slices.Contains([]int{429, 400, 413}, a.StatusCode) {
		return
	}
	allow := strings.Split(a.Header.Get("Allow"), ", ")
	for _, m := range methods {
		if a.StatusCode != 405 || !slices.Contains(allow, m) {
			f.wrong(r, a, "its method is none of %v, which status and Allow should state", methods)
			return
		}
	}
}

// inner are signs of internals, which no answer may contain. No client text contains them.
var inner = regexp.MustCompile(
	`(?i:\bsql(ite|state)?\b|\bpgx?\b|postgres|\b(select|insert|update|delete)\b.*\b(from|into|set|where)\b|constraint|goroutine|runtime error|nil pointer|panic|unmarshal)|` +
		`/root|/home/|/tmp/|/usr/|\w\.go\b|interface \{\}|map\[|\bstruct\b|\b0x[0-9a-f]{6}|%!\w?\(|\b(http|json|url|time|strconv|fmt|db|tx|yaml|mime|netip|reflect|context)\.[A-Za-z]|\b(json|yaml|sql|strconv): |internal/|\bEOF\b|<nil>`,
)

func (f *fuzzer) checkBody(r *request, a reply, served *operation) {
	media := a.Header.Get("Content-Type")
	switch {
	case r.method == http.MethodHead || a.StatusCode == http.StatusNotModified:
		if len(a.body) > 0 {
			f.wrong(r, a, "an answer to HEAD, or 304, has a body")
		}
	case served != nil && a.StatusCode/100 == 3: // elsewhere the flow continues
	case a.StatusCode < 300 && (served == nil || isExport(media)):
		asked := strings.Contains(r.target(), "csv") || strings.Contains(r.target(), "jsonl") ||
			strings.Contains(r.target(), "focus") || strings.Contains(r.target(), "prometheus")
		exports := []string{"listTransactions", "getUsage", "getMetrics"}
		if served != nil && (!slices.Contains(exports, served.ID) || !asked) {
			f.wrong(r, a, "CSV or JSON lines were not requested")
		}
	case served != nil && isOAuth(served):
		f.validate(r, a, served)
	default:
		f.checkEnvelope(r, a, served, media)
	}
}

// isExport reports whether the answer is a table, lines or metrics, without our envelope.
func isExport(media string) bool {
	return strings.HasPrefix(media, "text/csv") || strings.HasPrefix(media, "application/jsonl") ||
		strings.HasPrefix(media, "text/plain; version=0.0.4")
}

// isOAuth reports whether the operation answers as RFC 8628 states, without our envelope.
func isOAuth(o *operation) bool {
	return o.ID == "createDeviceAuthorization" || o.ID == "createDeviceToken"
}

// mayCache reports whether the answer may be cached as it says, which is not at all unless it is
// public.
func mayCache(a reply, served *operation) bool {
	says := a.Header.Get("Cache-Control")
	if served != nil && public[served.ID] && a.StatusCode == http.StatusOK {
		return strings.HasPrefix(says, "public, ")
	}
	return says == "no-store"
}

func (f *fuzzer) checkEnvelope(r *request, a reply, served *operation, media string) {
	if media != "application/json" || !mayCache(a, served) {
		f.wrong(r, a, "Content-Type is %q, Cache-Control is %q", media, a.Header.Get("Cache-Control"))
	}
	var e struct {
		Success    *bool                             `json:"success"`
		Data       *json.RawMessage                  `json:"data"`
		Warnings   []struct{ Field, Message string } `json:"warnings"`
		Pagination *struct {
			Page, Limit, Total, TotalPages int
			TotalIsExact                   bool
			NextCursor                     *string
		} `json:"pagination"`
		Error *struct {
			Code      string         `json:"code"`
			Message   string         `json:"message"`
			RequestID string         `json:"requestId"`
			Retryable *bool          `json:"retryable"`
			Details   map[string]any `json:"details"`
		} `json:"error"`
	}
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Success == nil || *e.Success != (a.StatusCode < 400) ||
		*e.Success == (e.Data == nil) || *e.Success != (e.Error == nil) {
		f.wrong(r, a, "its envelope is not one: %v", err)
		return
	}
	if p := e.Pagination; p != nil &&
		(p.Page < 1 || p.Limit < 1 || p.Limit > 100 || p.Total < 0 || p.TotalPages != (p.Total+p.Limit-1)/p.Limit) {
		f.wrong(r, a, "its pages do not add up")
	}
	if e.Error != nil {
		// A repetition has the request id of the kept answer.
		if !requestID.MatchString(e.Error.RequestID) || e.Error.Retryable == nil {
			f.wrong(r, a, "its error lacks a request id, or retryable")
		}
		f.checkError(r, a, served, e.Error.Code, e.Error.Message, e.Error.Details)
	}
	if served != nil {
		f.validate(r, a, served)
	}
}

func isSentence(message string) bool {
	return message != "" && (strings.HasSuffix(strings.TrimRight(message, "`)"), ".") ||
		strings.ContainsAny(message[len(message)-1:], "?*…") || strings.Contains(message, "ssh-keygen"))
}

func (f *fuzzer) checkError(r *request, a reply, served *operation, code, message string, details map[string]any) {
	if !slices.Contains(f.doc.codes, code) {
		f.wrong(r, a, "the document has no code %s", code)
	}
	if served != nil {
		if codes, _ := served.codesAt(a.StatusCode); !slices.Contains(codes, code) {
			f.wrong(r, a, "the document has %v for a %d of %s", codes, a.StatusCode, served.ID)
		}
	}
	if !isSentence(message) {
		f.wrong(r, a, "its message is no sentence")
	}
	if found := inner.FindString(string(a.body)); found != "" && !bytes.Contains(r.bytes(), []byte(found)) {
		f.wrong(r, a, "it shows something of the server's inside: %q", found)
	}
	if r.who.key != "" && bytes.Contains(a.body, []byte(r.who.key)) ||
		r.who.cookie != "" && bytes.Contains(a.body, []byte(r.who.cookie)) {
		f.wrong(r, a, "it repeats a secret")
	}
	if code != "INVALID_REQUEST" {
		return
	}
	fields, _ := details["fields"].([]any)
	seen := map[string]bool{}
	for _, x := range fields {
		at, _ := x.(map[string]any)
		name, _ := at["field"].(string)
		text, _ := at["message"].(string)
		if name == "" || text == "" || seen[name+text] {
			f.wrong(r, a, "a fault has no field or no message, or is there twice: %v", x)
		}
		seen[name+text] = true
	}
	if len(fields) == 0 {
		f.wrong(r, a, "it names no faulty field")
	}
}

// validate compares the answer with the document. The path is a plain one of the call's: what was
// asked may be none.
func (f *fuzzer) validate(r *request, a reply, served *operation) {
	plain := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(served.Path, "x")
	req, err := http.NewRequest(served.Method, "http://localhost"+plain, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp := *a.Response
	if good, faults := f.doc.validator.ValidateHttpResponse(req, &resp); !good {
		for _, fault := range faults {
			f.wrong(
				r,
				a,
				"it is not as documented: %s; %s; %v",
				fault.Message,
				fault.Reason,
				fault.SchemaValidationErrors,
			)
		}
	}
}

// learn remembers what the answer shows.
func (f *fuzzer) learn(r *request, a reply, served *operation) {
	if len(served.Security) == 0 || r.method == http.MethodHead {
		return
	}
	account := r.who.account
	if forOperators(served) {
		account = operators
	}
	v, _ := bodyOf(a.body).(map[string]any) // nil for CSV
	for _, x := range f.remember(account, v) {
		f.wrong(r, a, "it shows %s of another account", x)
	}
	data, _ := v["data"].(map[string]any)
	if secret, is := data["key"].(string); is && served.ID == "createApiKey" && f.in(4) {
		f.callers = append(
			f.callers[:min(len(f.callers), 16)],
			&caller{name: "a key that a user made", account: account, key: secret},
		)
	}
	if u, is := data["url"].(string); is && served.ID == "createInvitation" {
		_, f.token, _ = strings.Cut(u, "#")
	}
	f.armed = f.armed || served.ID == "addSimulatorFault"
	if a.Header.Get("Location") != "" || a.StatusCode == http.StatusCreated {
		id, _ := data["id"].(string)
		if quoted, is := data["quoteId"].(string); is { // a quote calls its id as a deploy does
			id = quoted
		}
		under := served.Path
		if u, err := url.Parse(r.path); err == nil && strings.Contains(under, "{") {
			under = u.Path
		}
		if where := a.Header.Get("Location"); id == "" || where != under+"/"+id {
			f.wrong(r, a, "Location is %q, and it made %q", where, id)
		}
	}
}

// whatTime are the parts of an answer that change while nothing happens.
var whatTime = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"|"(remainingSeconds|refund|costToDate|hoursLeft)":[-\d.]+`)

// again asks a GET twice more: it must not depend on having been asked.
func (f *fuzzer) again(r *request, first reply) {
	for range 4 { // what happens in the background may come in between
		a, _, good := f.send(r)
		if !good || a.StatusCode == 429 {
			return
		}
		if a.StatusCode == first.StatusCode &&
			bytes.Equal(whatTime.ReplaceAll(a.body, nil), whatTime.ReplaceAll(first.body, nil)) {
			return
		}
		first = a
	}
	f.wrong(r, first, "asked again and again it is answered differently each time")
}

// head asks without the body.
func (f *fuzzer) head(r *request, first reply) {
	h := *r
	h.method = http.MethodHead
	if a, _, good := f.send(&h); good && a.StatusCode != first.StatusCode && a.StatusCode != 429 {
		f.wrong(&h, a, "as a GET its status is %d", first.StatusCode)
	}
}

// replay says the same again with its key, and then something else with the same key.
func (f *fuzzer) replay(r *request, first reply) {
	a, _, good := f.send(r)
	if !good || a.StatusCode == 429 || a.StatusCode == 401 || a.StatusCode == 403 {
		return
	}
	if a.StatusCode != first.StatusCode || !bytes.Equal(a.body, first.body) ||
		a.Header.Get("Idempotent-Replayed") != "true" {
		f.wrong(r, a, "its key was answered before with %d %s", first.StatusCode, first.body)
	}
	object := changedBody(r)
	if object == nil {
		return
	}
	other := *r
	f.write(&other, object)
	if a, _, good := f.send(&other); good && a.StatusCode < 300 {
		f.wrong(&other, a, "its key was used before with another body")
	}
}

// changedBody returns another body that is as good as the request's, nil if there is none.
func changedBody(r *request) map[string]any {
	text := bytes.TrimLeft(r.body, " ")
	if len(text) < 2 || text[0] != '{' || text[1] != '"' || r.op.ID == "reinstallDeployment" ||
		r.op.ID == "detachVolume" {
		return nil
	}
	object, _ := bodyOf(text).(map[string]any)
	if object["name"] == nil && object["deploymentId"] == nil {
		return nil
	}
	for _, k := range []string{"name", "deploymentId"} {
		if s, is := object[k].(string); is && len(s) < 30 {
			object[k] = s + "2"
		} else if is {
			object[k] = "x2"
		}
	}
	return object
}
