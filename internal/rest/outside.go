package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// WriteThen is Write for an operation that does something outside the database after its commit:
// then gets the response that was kept with the change, and returns the one that is sent. A
// repeated request with its Idempotency-Key gets there again. then has its own deadline, which the
// operation's ExtraTime allows for; if it fails, the response is sent as it was kept.
func WriteThen[In, Out any](
	rr *Router, o Operation, h func(ctx context.Context, tx *db.Tx, c *Call, in *In) (Out, error),
	then func(ctx context.Context, c *Call, kept Out) (Out, error),
) *Route {
	rt := Write(rr, o, h)
	rt.Wrap(func(next ServeFunc) ServeFunc {
		return func(ctx context.Context, w http.ResponseWriter, c *Call) (Answer, error) {
			a, err := next(ctx, w, c)
			if err != nil || a.Status >= http.StatusMultipleChoices {
				return a, err
			}
			var kept struct {
				Data Out `json:"data"`
			}
			if err := json.Unmarshal(a.Body, &kept); err != nil {
				return a, err
			}
			out, err := then(ctx, c, kept.Data)
			if err != nil {
				c.Fail(err) // for the log: the change is made
				return a, nil
			}
			a.Body = Encode(envelope{true, out})
			return a, nil
		}
	})
	return rt
}

// maxForm is the most bytes of a form.
const maxForm = 4 << 10

// formPolicy lets a page show its own style and post to this server only.
const formPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'"

// formRoute and hookRoute stand in log and metrics for pages with a form, and for webhooks of
// others, whose paths may have a secret.
var (
	formRoute = Route{Operation: Operation{Method: http.MethodGet, Path: "form"}}
	hookRoute = Route{Operation: Operation{Method: http.MethodPost, Path: "hook"}}
)

// Form serves pages below a path, which ends with a slash, and what is posted to them. show gets
// the rest of the path and returns HTML; post gets the form, and the browser is sent to the page
// again. The rest of the path is a token that cannot be guessed: a browser that has it may use the
// page.
func (rr *Router) Form(
	below string, show func(r *http.Request, token string) ([]byte, error),
	post func(r *http.Request, token string, form url.Values) error,
) {
	rr.below = append(rr.below, below)
	rr.mux.HandleFunc(below+"{token}", func(plain http.ResponseWriter, r *http.Request) {
		c, w := callOf(r), plain.(*recorder)
		c.Route = &formRoute
		token := r.PathValue("token")
		switch {
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			rr.showForm(w, r, c, func() ([]byte, error) { return show(r, token) })
		case r.Method == http.MethodPost && post != nil:
			err := rr.takePublic(r.Context(), w, c)
			if err == nil {
				err = rr.SameSite(r)
			}
			if err == nil {
				r.Body = http.MaxBytesReader(w, r.Body, maxForm)
				err = readForm(r)
			}
			if err == nil {
				err = post(r, token, r.PostForm)
			}
			if err != nil {
				rr.sendError(w, c, err)
				return
			}
			rr.send(w, c, Answer{Status: http.StatusSeeOther, Header: map[string]string{"Location": r.URL.Path}})
		default:
			rr.refuse(w, c, errMethod(r.Method, "GET, HEAD, POST"))
		}
	})
}

func readForm(r *http.Request) error {
	err := r.ParseForm()
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return apierr.New(apierr.RequestTooLarge, "The form is larger than 4 KiB.")
	}
	if err != nil {
		return apierr.New(apierr.InvalidRequest, "The form cannot be read.")
	}
	return nil
}

func (rr *Router) showForm(w *recorder, r *http.Request, c *Call, show func() ([]byte, error)) {
	err := rr.takePage(r.Context(), w, r)
	var page []byte
	if err == nil {
		page, err = show()
	}
	if err != nil {
		rr.sendError(w, c, err)
		return
	}
	rr.send(w, c, Answer{Status: http.StatusOK, Body: page, Header: map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": formPolicy,
		"Referrer-Policy": "same-origin", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	}})
}

// HookLimit is how many webhooks of others are taken a minute from one network.
const HookLimit = 600

// maxHook is the most bytes of a webhook's body.
const maxHook = 512 << 10

// Hook serves a path that another service posts to. serve gets the body as it was sent, and proves
// by itself who sent it. An error that is no apierr.Error is answered with 500, so that it is sent
// again.
func (rr *Router) Hook(at string, serve func(r *http.Request, body []byte) error) {
	rr.own[at] = true
	rr.mux.HandleFunc(at, func(plain http.ResponseWriter, r *http.Request) {
		c, w := callOf(r), plain.(*recorder)
		c.Route = &hookRoute
		if r.Method != http.MethodPost {
			rr.refuse(w, c, errMethod(r.Method, "POST"))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), rr.cfg.Timeout)
		defer cancel()
		err := rr.take(ctx, w, "hook/"+networkOf(rr.Address(r)), HookLimit)
		var body []byte
		if err == nil {
			_ = http.NewResponseController(w).SetReadDeadline(rr.cfg.Real().Add(rr.cfg.Timeout))
			body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				err = apierr.New(apierr.RequestTooLarge, "The body is larger than 512 KiB.")
			} else if err != nil {
				err = apierr.New(apierr.RequestTimeout, "The request body did not arrive. Send it again.")
			}
		}
		if err == nil {
			err = serve(r.WithContext(ctx), body)
		}
		if err != nil {
			rr.sendError(w, c, err)
			return
		}
		rr.send(w, c, Answer{Status: http.StatusOK, Body: []byte(`{"success":true}`)})
	})
}

// isBelow reports whether a path belongs to a Form.
func (rr *Router) isBelow(path string) bool {
	for _, prefix := range rr.below {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
