package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// RawRequest is a call without a method in this package, or whose unchanged response is needed.
type RawRequest struct {
	// Method is GET, POST, PUT, PATCH or DELETE; "" means GET.
	Method string
	// Path is relative to the base URL, such as /deployments, or a full URL of the same server. It
	// can have a query.
	Path string
	// Body is JSON, sent unchanged; nil means none.
	Body json.RawMessage
	// Header has additional headers. It cannot have Authorization, User-Agent, Idempotency-Key,
	// Host and Cookie.
	Header http.Header
}

// RawResponse is a response of the server.
type RawResponse struct {
	// StatusCode is the HTTP status.
	StatusCode int
	// Header has the headers of the response, Body its body, at most 32 MiB.
	Header http.Header
	Body   []byte
}

// Raw makes a call with the same API key, retries and Idempotency-Key as other methods, and returns
// the unchanged response. An error response is returned with its error. A URL of another server is
// rejected, so that the key is only sent to the client's server.
func (c *Client) Raw(ctx context.Context, in RawRequest, options ...CallOption) (*RawResponse, error) {
	r := request{method: strings.ToUpper(in.Method), header: http.Header{}}
	switch r.method {
	case "":
		r.method = http.MethodGet
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, invalid("method", "must be GET, POST, PUT, PATCH or DELETE, not %q.", in.Method)
	}
	target, query, invalidPath := c.resolve(in.Path)
	if invalidPath != nil {
		return nil, invalidPath
	}
	r.url, r.query = target, query
	r.path = strings.TrimPrefix(target, c.base)
	for name, values := range in.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Authorization", "User-Agent", "Idempotency-Key", "Host", "Cookie":
			return nil, invalid("header."+name, "cannot be set.")
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
		r.rawBody = in.Body
	}
	response := &RawResponse{}
	r.raw = response
	_, err := c.send(ctx, r, options)
	if response.StatusCode == 0 {
		return nil, err
	}
	return response, err
}

// resolve returns the URL without query, and the query, of a path relative to the base URL or a URL
// of this server.
func (c *Client) resolve(path string) (target string, query url.Values, _ *Error) {
	base, _ := url.Parse(c.base) // New parsed it before
	u, err := url.Parse(path)
	if err != nil || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return "", nil, invalid("path", "%q is not a valid path.", path)
	}
	if (u.Host != "" || u.Scheme != "") && (u.Scheme != base.Scheme || u.Host != base.Host) {
		return "", nil, invalid(
			"path",
			"must be on %s://%s, the only server that gets the key.",
			base.Scheme,
			base.Host,
		)
	}
	if query, err = url.ParseQuery(u.RawQuery); err != nil {
		return "", nil, invalid("path", "has an invalid query.")
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return "", nil, invalid("path", "%q must not contain . or .. segments.", path)
		}
	}
	below := strings.Trim(u.EscapedPath(), "/")
	if u.Host != "" {
		return base.Scheme + "://" + base.Host + "/" + below, query, nil
	}
	return strings.TrimRight(c.base+"/"+below, "/"), query, nil
}
