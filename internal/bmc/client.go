package bmc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

const (
	maxAnswer  = 4 << 20 // bytes
	maxHeader  = 64 << 10
	maxMembers = 128
	// tries is how often a request is sent that the BMC was too busy for.
	tries = 4
	// firstPause is the pause before the second try; each further one is twice as long.
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	// dialLimit is how long a connection may take. Where there is none, the caller tries again
	// later: many BMCs may be behind a switch that failed.
	dialLimit = 10 * time.Second
)

// ErrInsideTx is the error of a call with the context of a database transaction: a slow BMC would
// keep the database locked. It is a mistake of the caller, so it has no Kind.
var ErrInsideTx = errors.New("bmc: called inside a database transaction; commit first, then call the BMC")

// link is a reference to a resource.
type link struct {
	ID string `json:"@odata.id"`
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// etag returns the version of the resource that was read, or "".
func (a answer) etag() string {
	if e := a.header.Get("ETag"); e != "" {
		return e
	}
	var v struct {
		ETag string `json:"@odata.etag"`
	}
	_ = json.Unmarshal(a.body, &v) // it was decoded before
	return v.ETag
}

// transport returns what connects to the BMC. A pinned certificate replaces the verification by
// the system's roots, because BMCs sign their own.
func transport(a Address, pin []byte) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if pin != nil {
		config.InsecureSkipVerify = true // VerifyConnection verifies
		config.VerifyConnection = func(s tls.ConnectionState) error {
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if !bytes.Equal(got[:], pin) {
				return &certificateError{got: hex.EncodeToString(got[:])}
			}
			return nil
		}
	}
	return &http.Transport{
		Proxy: nil, DialContext: (&net.Dialer{Timeout: min(a.Timeout, dialLimit)}).DialContext, TLSClientConfig: config,
		TLSHandshakeTimeout: a.Timeout, ResponseHeaderTimeout: a.Timeout, MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
	}
}

type certificateError struct{ got string }

func (e *certificateError) Error() string {
	return "the certificate with the SHA-256 " + e.got + " is not the pinned one"
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// get reads a resource.
func (b *BMC) get(ctx context.Context, path string, into any) (answer, error) {
	a, err := b.do(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return a, &Error{Kind: KindUnreachable, Message: "GET " + path + ": malformed answer", Cause: err}
	}
	return a, nil
}

// patch changes a resource. BMCs may demand the version that the change is based on, and it may
// have changed in between.
func (b *BMC) patch(ctx context.Context, path string, body any) error {
	for try := 1; ; try++ {
		var current json.RawMessage
		a, err := b.get(ctx, path, &current)
		if err != nil {
			return err
		}
		a, err = b.do(ctx, http.MethodPatch, path, body, a.etag())
		if err == nil {
			return b.finish(ctx, a)
		}
		if try == tries || !withStatus(err, http.StatusPreconditionFailed) {
			return err
		}
	}
}

// post calls an action.
func (b *BMC) post(ctx context.Context, path string, body any) error {
	a, err := b.do(ctx, http.MethodPost, path, body, "")
	if err != nil {
		return err
	}
	return b.finish(ctx, a)
}

// finish waits for the end of what a BMC does in the background.
func (b *BMC) finish(ctx context.Context, a answer) error {
	if a.status != http.StatusAccepted {
		return nil
	}
	var v link
	_ = json.Unmarshal(a.body, &v) // the body may be empty
	path := v.ID
	if at, err := b.local(a.header.Get("Location")); path == "" && err == nil {
		path = at
	}
	if path == "" {
		return nil // nothing to ask; the caller reads the effect
	}
	var task struct {
		TaskState  string
		TaskStatus string
		Messages   []struct{ Message string }
	}
	ended, err := b.poll(ctx, b.address.Wait, func() (bool, error) {
		task.TaskState = ""
		a, err := b.do(ctx, http.MethodGet, path, nil, "")
		if withStatus(err, http.StatusNotFound, http.StatusGone) {
			return true, nil // a task may be forgotten when it has ended
		}
		if err != nil || a.status == http.StatusAccepted && len(a.body) == 0 {
			return false, err
		}
		if len(a.body) > 0 {
			if err := json.Unmarshal(a.body, &task); err != nil {
				return false, &Error{Kind: KindUnreachable, Message: "GET " + path + ": malformed answer", Cause: err}
			}
		}
		switch task.TaskState {
		case "New", "Pending", "Running", "Starting", "Service", "Stopping", "Cancelling":
			return false, nil
		case "Exception", "Killed", "Cancelled", "Interrupted", "Suspended":
			said := task.TaskState
			for _, m := range task.Messages {
				said += "; " + m.Message
			}
			return false, failure(KindRejected, "the task at %s ended: %s", path, b.plain(said))
		}
		return a.status != http.StatusAccepted, nil
	})
	if err == nil && !ended {
		err = failure(KindUnreachable, "the task at %s did not end within %s", path, b.address.Wait)
	}
	return err
}

// poll calls f until it returns true or an error, or the time is over.
func (b *BMC) poll(ctx context.Context, most time.Duration, f func() (bool, error)) (bool, error) {
	end := time.Now().Add(most)
	for pause := firstPause / 4; ; pause = min(2*pause, maxPause) {
		done, err := f()
		if done || err != nil {
			return done, err
		}
		if time.Now().Add(pause).After(end) {
			return false, nil
		}
		if err := wait(ctx, pause); err != nil {
			return false, err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &Error{Kind: KindUnreachable, Message: "the time was over", Cause: ctx.Err()}
	}
}

// do sends a request. A BMC that is busy is asked again; a read is also repeated after a lost
// connection, while a change may have taken effect.
func (b *BMC) do(ctx context.Context, method, path string, body any, etag string) (answer, error) {
	if db.InsideTx(ctx) {
		return answer{}, ErrInsideTx
	}
	path, err := b.local(path)
	if err != nil {
		return answer{}, err
	}
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return answer{}, &Error{Kind: KindRejected, Message: "the request cannot be encoded", Cause: err}
		}
	}
	signedIn := false
	for try := 1; ; try++ {
		a, err := b.send(ctx, method, path, content, etag)
		if withStatus(err, http.StatusUnauthorized) && !signedIn && !b.anonymous && ctx.Err() == nil {
			if signIn := b.signIn(ctx); signIn != nil {
				if KindOf(signIn) == KindUnreachable {
					return answer{}, signIn
				}
				return answer{}, err // the first refusal is the one of the password
			}
			signedIn = true
			continue
		}
		if !repeats(method, err) || try >= tries || ctx.Err() != nil {
			return a, err
		}
		pause := firstPause << (try - 1)
		if seconds, wrong := strconv.Atoi(a.header.Get("Retry-After")); wrong == nil && seconds > 0 {
			pause = max(pause, min(time.Duration(seconds)*time.Second, maxPause))
		}
		if wait(ctx, pause) != nil {
			return a, err
		}
	}
}

// local returns the path of a link, which must be to this BMC.
func (b *BMC) local(to string) (string, error) {
	u, err := url.Parse(to)
	if err != nil || to == "" {
		return "", failure(KindRejected, "the BMC refers to an invalid address")
	}
	at := b.base.ResolveReference(u)
	if at.Host != b.base.Host || at.Scheme != b.base.Scheme || at.User != nil {
		return "", failure(KindRejected, "the BMC refers to another host")
	}
	return at.RequestURI(), nil
}

// send sends one request. The path is the result of local.
func (b *BMC) send(ctx context.Context, method, path string, content []byte, etag string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, b.address.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, b.base.Scheme+"://"+b.base.Host+path, bytes.NewReader(content))
	if err != nil {
		return answer{}, &Error{Kind: KindRejected, Message: "the request cannot be sent", Cause: err}
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("OData-Version", "4.0")
	r.Header.Set("User-Agent", "Billet-BMC/1")
	if content != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if etag != "" {
		r.Header.Set("If-Match", etag)
	}
	if b.token != "" {
		r.Header.Set("X-Auth-Token", b.token)
	} else if !b.anonymous && (path != b.sessions || method != http.MethodPost) {
		r.SetBasicAuth(b.address.User, b.password)
	}
	response, err := b.http.Do(r)
	if err != nil {
		return answer{}, unreached(method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	out := answer{status: response.StatusCode, header: response.Header, body: text}
	switch {
	case response.StatusCode/100 != 2:
		return out, b.refusal(method, path, response.StatusCode, text)
	case err != nil:
		return out, unreached(method, path, err)
	case len(text) > maxAnswer:
		return out, failure(KindRejected, "%s %s: the answer is larger than %d bytes", method, path, maxAnswer)
	}
	return out, nil
}

// repeats reports whether a request with this error is sent again.
func repeats(method string, err error) bool {
	return withStatus(err, http.StatusServiceUnavailable, http.StatusTooManyRequests) ||
		method == http.MethodGet && err != nil && KindOf(err) == KindUnreachable && !undialed(err)
}

// undialed reports whether there was no connection.
func undialed(err error) bool {
	e, is := errors.AsType[*net.OpError](err)
	return is && e.Op == "dial"
}

// unreached returns the error of a request without an answer.
func unreached(method, path string, err error) *Error {
	if u, is := errors.AsType[*url.Error](err); is {
		err = u.Err
	}
	e := &Error{Kind: KindUnreachable, Message: method + " " + path + ": no answer", Cause: err}
	_, notPinned := errors.AsType[*certificateError](err)
	_, notVerified := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	if notPinned || notVerified || unknown {
		e.Kind, e.Message = KindUnauthorized, "the BMC's certificate is not trusted; set the SHA-256 of its certificate"
	}
	return e
}

// signIn opens a session. Passwords with each request are tried first, because BMCs allow few
// sessions and keep abandoned ones for long.
func (b *BMC) signIn(ctx context.Context) error {
	b.token, b.session = "", ""
	content, err := json.Marshal(map[string]string{"UserName": b.address.User, "Password": b.password})
	if err != nil {
		return err
	}
	a, err := b.send(ctx, http.MethodPost, b.sessions, content, "")
	if err != nil {
		return err
	}
	if b.token = a.header.Get("X-Auth-Token"); b.token == "" {
		return failure(KindUnauthorized, "the BMC opened a session without a token")
	}
	if at, err := b.local(a.header.Get("Location")); err == nil {
		b.session = at
	}
	return nil
}

// prove finds out whether the password is valid, by one try: wrong ones may lock the account. It
// signs in where the BMC has sessions, and else reads what is at the path.
func (b *BMC) prove(ctx context.Context, path string) error {
	err := b.signIn(ctx)
	if !answered(err) || withStatus(err, http.StatusUnauthorized) {
		return err
	}
	if path, err = b.local(path); err == nil { // it has no sessions, or no more of them
		_, err = b.send(ctx, http.MethodGet, path, nil, "")
	}
	return err
}

// signOut closes the session. Where it fails, the BMC ends the session later.
func (b *BMC) signOut(ctx context.Context) {
	if b.token != "" && b.session != "" {
		_, _ = b.send(ctx, http.MethodDelete, b.session, nil, "")
	}
	b.token, b.session = "", ""
}

// members returns the links of a collection.
func (b *BMC) members(ctx context.Context, path string) ([]string, error) {
	var out []string
	for path != "" {
		var v struct {
			Members []link
			Next    string `json:"Members@odata.nextLink"`
		}
		if _, err := b.get(ctx, path, &v); err != nil {
			return nil, err
		}
		for _, m := range v.Members {
			out = append(out, m.ID)
		}
		if len(out) > maxMembers || v.Next != "" && len(v.Members) == 0 {
			return nil, failure(KindRejected, "%s has more than %d members", path, maxMembers)
		}
		path = v.Next
	}
	return out, nil
}

// parsePin reads the SHA-256 of a certificate as it is usually written, with or without colons.
func parsePin(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	pin, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if err != nil || len(pin) != sha256.Size {
		return nil, fmt.Errorf("the SHA-256 of a certificate has %d hexadecimal digits", 2*sha256.Size)
	}
	return pin, nil
}
