package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// RawRequest is a call that has no method here, or whose answer is wanted as it comes.
type RawRequest struct {
	// Method is GET, POST, PUT, PATCH or DELETE; empty for GET.
	Method string
	// Path is below the base, such as /deployments, or a whole address of the same server. It may have a query.
	Path string
	// Body is JSON; nil for none. It is sent byte by byte as it is.
	Body json.RawMessage
	// Header are further headers. Authorization, User-Agent and Idempotency-Key are the client's own, and cannot be given.
	Header http.Header
}

// RawAnswer is what the server answered.
type RawAnswer struct {
	// StatusCode is the HTTP status.
	StatusCode int
	// Header are the answer's headers, Body its whole body, of at most 32 MiB.
	Header http.Header
	Body   []byte
}

// Raw makes a call as the methods do, with the key, the retries and the Idempotency-Key of a POST, and gives its answer as it is. An answer that is no success is an error as
// everywhere, and given beside it. The key is sent to the client's own server only: an address of another is refused.
func (c *Client) Raw(ctx context.Context, in RawRequest, options ...CallOption) (*RawAnswer, error) {
	r := request{method: strings.ToUpper(in.Method), header: http.Header{}}
	switch r.method {
	case "":
		r.method = http.MethodGet
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, invalid("method", "%q is none of GET, POST, PUT, PATCH and DELETE.", in.Method)
	}
	at, query, fault := c.address(in.Path)
	if fault != nil {
		return nil, fault
	}
	r.at, r.query = at, query
	r.path = strings.TrimPrefix(at, c.base)
	for name, values := range in.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Authorization", "User-Agent", "Idempotency-Key", "Host", "Cookie":
			return nil, invalid("header."+name, "cannot be given.")
		case "Accept":
			r.accept = strings.Join(values, ", ")
		default:
			r.header[name] = values
		}
	}
	if in.Body != nil {
		if !json.Valid(in.Body) {
			return nil, invalid("body", "is not JSON.")
		}
		r.exact = in.Body
	}
	answer := &RawAnswer{}
	r.raw = answer
	_, failure := c.answer(ctx, r, options)
	if answer.StatusCode == 0 {
		return nil, failure
	}
	return answer, failure
}

// address makes of a path below the base, or of an address of this server, where to send a request: at is the whole address without its query.
func (c *Client) address(path string) (at string, query url.Values, _ *Error) {
	base, _ := url.Parse(c.base) // New made it
	u, err := url.Parse(path)
	if err != nil || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return "", nil, invalid("path", "%q is no path.", path)
	}
	if (u.Host != "" || u.Scheme != "") && (u.Scheme != base.Scheme || u.Host != base.Host) {
		return "", nil, invalid("path", "is of another server than %s://%s, which is the only one that gets the key.", base.Scheme, base.Host)
	}
	if query, err = url.ParseQuery(u.RawQuery); err != nil {
		return "", nil, invalid("path", "has a query that cannot be read.")
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return "", nil, invalid("path", "%q goes up.", path)
		}
	}
	below := strings.Trim(u.EscapedPath(), "/")
	if u.Host != "" {
		return base.Scheme + "://" + base.Host + "/" + below, query, nil
	}
	return strings.TrimRight(c.base+"/"+below, "/"), query, nil
}
