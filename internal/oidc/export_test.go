package oidc

import "net/http"

// Through has the client's requests go through that transport.
func (c *Client) Through(t http.RoundTripper) { c.http.Transport = bounded{t} }
