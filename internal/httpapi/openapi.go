package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
	"github.com/danielgtaylor/huma/v2"
)

const prefix = "#/components/schemas/"

// The names of the security schemes.
const (
	bearer        = "bearer"
	apiKeyHeader  = "apiKeyHeader"
	sessionScheme = "sessionCookie"
)

// The tags, in the order of the documentation.
const (
	tagOffers      = "Offers"
	tagDeployments = "Deployments"
	tagSSHKeys     = "SSH keys"
	tagVolumes     = "Volumes"
	tagWallet      = "Wallet"
	tagEvents      = "Events"
	tagWebhooks    = "Webhooks"
	tagAccount     = "Account"
	tagOperator    = "Operator"
	tagService     = "Service"
)

// amount is the schema of money.
type amount struct{}

func (amount) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Format: dollars, Description: "US dollars, at most six decimals."}
}

func init() {
	huma.DefaultArrayNullable = false // a setting of the library as a whole, which only this package uses: no list of ours is ever null
}

func newDocument(version string) *huma.OpenAPI {
	registry := huma.NewMapRegistry(prefix, schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[money.Micros](), reflect.TypeFor[amount]())
	header := func(text string, kind string) *huma.Param {
		return &huma.Param{Description: text, Schema: &huma.Schema{Type: kind}}
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Bare Metal GPU API", Version: version, Description: introduction(),
			Contact: &huma.Contact{Name: "Billet", URL: "https://github.com/billetcloud/billet"},
			License: &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "The server that you got this document from, as GET /openapi.json."}},
		Components: &huma.Components{
			Schemas: registry, Responses: failures(registry),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				// No schema may be called like one of these: generators make a type of each.
				bearer:        {Type: "http", Scheme: "bearer", Description: "An API key: `Authorization: Bearer pk_live_…`"},
				apiKeyHeader:  {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same key in a header of its own."},
				sessionScheme: {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "A signed-in user; see POST /api/v1/account/sessions. Over https the cookie is called __Host-" + sessionCookie + "."},
			},
			Headers: map[string]*huma.Param{
				"X-Request-Id":          header("Names this request in our log.", huma.TypeString),
				"X-RateLimit-Limit":     header("Requests of this kind that may be made in a minute.", huma.TypeInteger),
				"X-RateLimit-Remaining": header("How many of them are left.", huma.TypeInteger),
				"X-RateLimit-Reset":     header("When the limit is fresh again, in Unix seconds.", huma.TypeInteger),
				"Retry-After":           header("Seconds to wait before trying again.", huma.TypeInteger),
				"Location":              header("Path of what was made.", huma.TypeString),
				"Idempotent-Replayed":   header("`true` where this is the answer to an earlier request with the same Idempotency-Key.", huma.TypeString),
			},
		},
		Tags: []*huma.Tag{
			{Name: tagOffers, Description: "What can be launched now, where, and at what price."},
			{Name: tagDeployments, Description: "Machines, from the order to the end."},
			{Name: tagSSHKeys, Description: "Public keys that may log in."},
			{Name: tagVolumes, Description: "Storage that outlives deployments."},
			{Name: tagWallet, Description: "Money: balance, statement, usage."},
			{Name: tagEvents, Description: "What happens to the account's things, as it happens."},
			{Name: tagWebhooks, Description: "The same events, sent to an address of yours and signed; see docs/webhooks.md."},
			{Name: tagAccount, Description: "Signing in, people and their roles, API keys, and the record of who did what. For people in a browser."},
			{Name: tagOperator, Description: "For who runs this cloud: issues, accounts, providers, jobs, margins. For a signed-in operator, or a key with an operator's scope."},
			{Name: tagService, Description: "Whether the server lives and is ready."},
		},
	}
}

// schemaName tells apart the types that two rooms call alike.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] + "." + t.Name() {
	case "webhook.Endpoint":
		return "Webhook"
	case "webhook.Delivery":
		return "WebhookDelivery"
	case "webhook.Attempt":
		return "WebhookAttempt"
	case "sshkey.Key":
		return "SSHKey"
	case "account.Key":
		return "APIKey"
	case "account.MemberInfo":
		return "Member"
	case "account.Creator":
		return "UserReference"
	case "account.InvitationView":
		return "InvitationText"
	case "audit.Entry":
		return "AuditEntry"
	case "deployment.KeyRef":
		return "SSHKeyReference"
	case "operator.Account":
		return "OperatorAccount"
	case "operator.Job":
		return "FailingJob"
	case "httpapi.source":
		return "OperatorProvider"
	case "httpapi.walletView":
		return "Wallet"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// add makes a route: its document and its place in the mux.
func (s *server) add(o spec, in, out reflect.Type, isList bool, serve func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error)) {
	registry := s.doc.Components.Schemas
	if o.status == 0 {
		o.status = http.StatusOK
	}
	if (o.door == doorKey || o.door == doorOperator) && o.scope == "" {
		panic("httpapi: " + o.method + " " + o.path + " needs a scope")
	}
	read := newInput(registry, in)
	read.anyQuery, read.form = o.anyQuery, o.oauth
	rt := &route{spec: o, in: read, list: isList, serve: serve}
	if out != nil {
		rt.out = registry.Schema(out, true, o.id+"Result")
	}
	m := s.paths[o.path]
	if m == nil {
		m = &methods{s: s, routes: map[string]*route{}}
		s.paths[o.path] = m
		s.mux.Handle(o.path, m)
		s.own[o.path] = true
	}
	if m.routes[o.method] != nil {
		panic("httpapi: two routes for " + o.method + " " + o.path)
	}
	m.routes[o.method] = rt
	allow := slices.Sorted(mapKeys(m.routes))
	if m.routes[http.MethodGet] != nil {
		allow = append(allow, http.MethodHead)
	}
	m.allow = strings.Join(allow, ", ")
	s.doc.AddOperation(s.operation(rt))
}

func (s *server) operation(rt *route) *huma.Operation {
	op := &huma.Operation{
		OperationID: rt.id, Method: rt.method, Path: rt.path, Tags: []string{rt.tag}, Summary: rt.summary, Description: rt.describe(),
		Responses: map[string]*huma.Response{},
	}
	switch rt.door {
	case doorAnyKey:
		op.Security = []map[string][]string{{bearer: {}}, {apiKeyHeader: {}}}
	case doorKey, doorOperator:
		op.Security = []map[string][]string{{bearer: {}}, {apiKeyHeader: {}}, {sessionScheme: {}}}
	case doorUser:
		op.Security = []map[string][]string{{sessionScheme: {}}}
	default:
		op.Security = []map[string][]string{}
	}
	for _, p := range rt.in.params {
		param := &huma.Param{Name: p.name, In: p.in, Required: p.in == "path", Description: p.schema.Description, Schema: p.schema}
		if p.schema.Type == huma.TypeArray {
			exploded := true
			param.Style, param.Explode = "form", &exploded
			param.Description += " Give several as several parameters, or with commas."
		}
		op.Parameters = append(op.Parameters, param)
	}
	if rt.replayed() {
		one, most := 1, 255
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MinLength: &one, MaxLength: &most},
			Description: "The same key and body within 24 hours get the first answer again, and no second effect.",
		})
	}
	if rt.in.body != nil {
		op.RequestBody = &huma.RequestBody{Required: rt.in.required, Content: map[string]*huma.MediaType{"application/json": {Schema: rt.in.schema}}}
	}
	if rt.oauth {
		op.RequestBody.Content[formMedia] = &huma.MediaType{Schema: rt.in.schema}
	}
	extra := []string{}
	if rt.replayed() {
		extra = append(extra, "Idempotent-Replayed")
	}
	statuses := append([]int{rt.status}, rt.also...)
	if rt.upgrade { // which has no body
		statuses = nil
		op.Responses["101"] = &huma.Response{Description: http.StatusText(http.StatusSwitchingProtocols)}
		op.Responses["200"] = &huma.Response{Description: "What 101 is in HTTP/2 and HTTP/3 (RFC 8441, RFC 9220), where a proxy before this server speaks them."}
	}
	for _, status := range statuses {
		more := extra
		if status == http.StatusCreated && rt.door != doorOpen {
			more = append(slices.Clone(extra), "Location")
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Headers: headers(more...),
			Content: map[string]*huma.MediaType{"application/json": {Schema: s.successSchema(rt)}},
		}
	}
	if rt.csv {
		op.Responses["200"].Content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	if rt.oauth {
		s.oauthResponses(rt, op)
		return op
	}
	byStatus := map[string][]apierr.Code{}
	for _, c := range codes { // in the order of the table
		if slices.Contains(rt.codes(), c.code) {
			byStatus[strconv.Itoa(c.status)] = append(byStatus[strconv.Itoa(c.status)], c.code)
		}
	}
	op.Extensions = map[string]any{"x-codes": byStatus}
	op.Responses["4XX"] = &huma.Response{Ref: "#/components/responses/Refusal"}
	op.Responses["5XX"] = &huma.Response{Ref: "#/components/responses/ServerFault"}
	if rt.status >= http.StatusMultipleChoices { // there is no success to list beside the redirect
		op.Responses["default"] = &huma.Response{Ref: "#/components/responses/Refusal"}
	}
	if rt.stream {
		op.Responses["200"].Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "Go on after this event. Browsers send it by themselves when they connect again.",
		})
	}
	return op
}

// replayed tells whether an Idempotency-Key means something to the route.
func (rt *route) replayed() bool {
	return rt.method != http.MethodGet && rt.door != doorOpen && !rt.alone
}

// failures are the answers that every call may give instead of success. There are two of them, and not one for each status: they are alike but
// for the code, and generators make a type, with a decoder, of each. The operation's x-codes says which codes it may answer.
func failures(registry huma.Registry) map[string]*huma.Response {
	of := func(text string, extra ...string) *huma.Response {
		return &huma.Response{
			Description: text + " `error.code` says which; the table of codes above tells what each means, and its status.", Headers: headers(append(extra, "Retry-After")...),
			Content: map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(reflect.TypeFor[failure](), true, "")}},
		}
	}
	return map[string]*huma.Response{
		"Refusal":     of("The request is refused.", "Idempotent-Replayed"),
		"ServerFault": of("The server failed, or cannot serve now."),
		"OAuthError": {
			Description: "An error as in RFC 6749 section 5.2. The table of device authorization codes describes `error`.", Headers: headers("Retry-After"),
			Content: map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(reflect.TypeFor[oauthFailure](), true, "")}},
		},
	}
}

func (rt *route) describe() string {
	text := strings.TrimSpace(rt.text)
	line := func(format string, args ...any) {
		text = strings.TrimSpace(text + "\n\n" + fmt.Sprintf(format, args...))
	}
	switch {
	case rt.door == doorKey && rt.deploy:
		line("Scope: `%s`. Counts as a deploy.", rt.scope)
	case rt.door == doorOperator && rt.method == http.MethodGet:
		line("For a signed-in operator, or a key with the scope `%s`, which only `billetd key create` gives. Counts as a read.", rt.scope)
	case rt.door == doorOperator:
		line("For a signed-in operator, or a key with the scope `%s`, which only `billetd key create` gives. Counts as a write.", rt.scope)
	case rt.door == doorKey && rt.method == http.MethodGet:
		line("Scope: `%s`. Counts as a read.", rt.scope)
	case rt.door == doorKey:
		line("Scope: `%s`. Counts as a write.", rt.scope)
	case rt.door == doorAnyKey:
		line("For an API key, whatever its scopes; a signed-in user does not do. Counts as a read.")
	case rt.door == doorUser && rt.scope != "":
		line("For a signed-in user only, whose role has `%s`: %s. An API key does not do.", rt.scope, strings.Join(texts(account.RolesWith(rt.scope)), ", "))
	case rt.door == doorUser:
		line("For a signed-in user only, whatever their role; an API key does not do.")
	}
	if len(rt.errors) > 0 {
		var list []string
		for _, c := range codes {
			if slices.Contains(rt.errors, c.code) {
				list = append(list, "`"+string(c.code)+"`")
			}
		}
		if rt.oauth {
			for _, code := range rt.errors {
				list = append(list, "`"+string(code)+"`")
			}
		}
		line("May also answer %s.", strings.Join(list, ", "))
	}
	return text
}

// codes are all codes that the route can answer.
func (rt *route) codes() []apierr.Code {
	all := []apierr.Code{
		apierr.InvalidRequest, apierr.RequestTooLarge, apierr.UnsupportedMediaType, apierr.RequestTimeout,
		apierr.RateLimitExceeded, apierr.Internal, apierr.ServiceUnavailable,
	}
	switch rt.door {
	case doorKey, doorOperator:
		all = append(all, apierr.MissingAPIKey, apierr.InvalidAPIKey, apierr.ExpiredAPIKey, apierr.RevokedAPIKey, apierr.SignInRequired, apierr.InsufficientScope, apierr.NetworkNotAllowed)
	case doorAnyKey:
		all = append(all, apierr.MissingAPIKey, apierr.InvalidAPIKey, apierr.ExpiredAPIKey, apierr.RevokedAPIKey, apierr.NetworkNotAllowed)
	case doorUser:
		all = append(all, apierr.SignInRequired, apierr.NetworkNotAllowed)
		if rt.scope != "" {
			all = append(all, apierr.InsufficientScope)
		}
	}
	if rt.replayed() {
		all = append(all, apierr.IdempotencyKeyReused)
	}
	if strings.Contains(rt.path, "{") {
		all = append(all, apierr.NotFound)
	}
	return append(all, rt.errors...)
}

// headers are those of every answer, and some more.
func headers(more ...string) map[string]*huma.Param {
	out := map[string]*huma.Param{}
	for _, n := range append([]string{"X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}, more...) {
		out[n] = &huma.Param{Ref: "#/components/headers/" + n}
	}
	return out
}

// introduction is the first page of the documentation.
func introduction() string {
	var b strings.Builder
	b.WriteString(introductionText)
	for _, c := range codes {
		_, _ = fmt.Fprintf(&b, "| %d | `%s` | %s |\n", c.status, c.code, c.meaning)
	}
	b.WriteString(oauthIntroduction)
	for _, c := range oauthCodes {
		_, _ = fmt.Fprintf(&b, "| `%s` | %s |\n", c.code, c.meaning)
	}
	return b.String()
}

const introductionText = `Browse GPU offers, deploy bare metal machines, manage SSH keys and persistent volumes, and watch your wallet.

## Authentication

Send an API key as ` + "`Authorization: Bearer pk_live_…`" + ` (or in ` + "`X-API-Key`" + `). Keys are made in the dashboard under Settings → API Keys. A key has scopes; the call's text names the one it needs. A signed-in user can make the same calls: their role in the account is a set of scopes.

## Answers

Success is ` + "`{\"success\": true, \"data\": …}`" + `, lists add ` + "`pagination`" + `: go on with its ` + "`nextCursor`" + ` as ` + "`cursor`" + `, or by page numbers, which reach the first 10,000 entries of a long list. Failure is ` + "`{\"success\": false, \"error\": {\"code\", \"message\", \"details\"}}`" + `, always. Branch on the code, show the message.
INVALID_REQUEST names every fault at once in ` + "`details.fields`" + `. A query parameter that takes a list may be repeated, or have its values with commas. Times are RFC 3339 in UTC, money is a number of US dollars with at most six decimals.
Every answer has an ` + "`X-Request-Id`" + ` of our own making. A GET may be asked as HEAD. Other web sites' pages may not call the API (no CORS).

## What may change

Requests are closed: a field or parameter that is not listed is refused, so that a slip is found. Answers and events are open: they may get a new field, and a new event type may appear, at any time, so ignore what you do not know. A field that is there keeps its name, type and meaning.

## Limits

Per key and minute: 60 reads, 20 writes, 5 deploys; a deploy uses no write, also as a dry run. Your key may have other limits; ` + "`X-RateLimit-Limit`, `-Remaining` and `-Reset`" + ` (Unix seconds) of each answer say. Requests without a valid key are counted by address, 60 a minute; what people call before they are signed in has 300 of its own, or 120 for each user in a browser in which they have signed in before. A request that is answered with an error counts, too. A signed-in user's session has 600 reads, 120 writes and 5 deploys a minute.

An account may have 100 API keys that can be used, 200 SSH keys, 10 webhooks, 100 open quotes and 100 open invitations; a user 20 passkeys, and 50 sessions, of which the oldest ends when another begins. One more is LIMIT_REACHED; ` + "`details`" + ` says of what and how many. At once an account may have 64 streams of events and 32 terminals, of which one key or user has 16 and 8 at most; one more is RATE_LIMIT_EXCEEDED. 100 device authorizations may be pending from one address. None of these can be set.

## Repeating a request

Send an ` + "`Idempotency-Key`" + ` of your own (1–255 visible ASCII characters) with any POST, PATCH, PUT or DELETE. The same key and body within 24 hours get the first answer again, byte for byte, with ` + "`Idempotent-Replayed: true`" + `, and no second effect, also while the first is under way and after a crash.
Answers 2xx, 402, 404 and 409 are kept; after any other answer the key is free, for you may mend the request. Another body under the same key is IDEMPOTENCY_KEY_REUSED.

## Codes

| status | code | meaning |
| --- | --- | --- |
`

const oauthIntroduction = `
## Device authorization codes

The two endpoints of device authorization (RFC 8628) take a form and answer as OAuth 2.0 does: without an envelope, and with ` + "`{\"error\", \"error_description\"}`" + ` for an error. Its status is 400 unless the request failed before it was read.

| error | meaning |
| --- | --- |
`
