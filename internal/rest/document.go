package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
	"github.com/danielgtaylor/huma/v2"
)

const schemaPrefix = "#/components/schemas/"

// The names of the security schemes. No schema may have one of them: generators make a type of
// each.
const (
	BearerScheme  = "bearer"
	HeaderScheme  = "apiKeyHeader"
	SessionScheme = "sessionCookie"
)

// amount is the schema of money.
type amount struct{}

func (amount) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Format: dollars, Description: "US dollars, at most six decimals."}
}

func init() {
	// A setting of the library as a whole, which only this package uses: no list is ever null.
	huma.DefaultArrayNullable = false
}

// newDocument adds to the document of the configuration what all operations have in common.
func newDocument(cfg Config) *huma.OpenAPI {
	registry := huma.NewMapRegistry(schemaPrefix, schemaNamer(cfg.SchemaNames))
	registry.RegisterTypeAlias(reflect.TypeFor[money.Micros](), reflect.TypeFor[amount]())
	header := func(text string, kind string) *huma.Param {
		return &huma.Param{Description: text, Schema: &huma.Schema{Type: kind}}
	}
	doc := *cfg.Document
	doc.Components = &huma.Components{
		Schemas: registry, Responses: failures(registry), SecuritySchemes: cfg.Document.Components.SecuritySchemes,
		Headers: map[string]*huma.Param{
			"X-Request-Id":          header("Id of this request in the server's log.", huma.TypeString),
			"X-RateLimit-Limit":     header("Requests of this kind allowed in a minute.", huma.TypeInteger),
			"X-RateLimit-Remaining": header("Requests left in this minute.", huma.TypeInteger),
			"X-RateLimit-Reset":     header("When the limit resets, in Unix seconds.", huma.TypeInteger),
			"RateLimit": header(
				"Requests left (r) and seconds until the limit resets (t), as in the IETF draft.",
				huma.TypeString,
			),
			"RateLimit-Policy": header(
				"The limit (q) and its window in seconds (w), as in the IETF draft.",
				huma.TypeString,
			),
			"Retry-After": header("Seconds to wait before trying again.", huma.TypeInteger),
			"Location":    header("Path of the created resource.", huma.TypeString),
			"ETag": header(
				"Version of the thing in the response, for If-Match and If-None-Match.",
				huma.TypeString,
			),
			"Idempotent-Replayed": header(
				"`true` if this is the response to an earlier request with the same Idempotency-Key.",
				huma.TypeString,
			),
		},
	}
	return &doc
}

// schemaNamer names schemas by their type. names has the exceptions, where two packages have one
// name.
func schemaNamer(names map[string]string) func(t reflect.Type, hint string) string {
	return func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if name := names[t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]+"."+t.Name()]; name != "" {
			return name
		}
		return huma.DefaultSchemaNamer(t, hint)
	}
}

// Document returns the OpenAPI document as JSON. It is called once, when all operations are
// registered.
func (rr *Router) Document() []byte {
	rr.finishSchemas()
	rr.closeRequests()
	if f := rr.doc.Components.Schemas.Map()["FailureBody"]; f != nil {
		f.Properties["code"].Enum = nil
		for _, c := range Codes {
			f.Properties["code"].Enum = append(f.Properties["code"].Enum, string(c.Code))
		}
	}
	if f := rr.doc.Components.Schemas.Map()["OauthFailure"]; f != nil {
		for _, c := range OAuthCodes {
			f.Properties["error"].Enum = append(f.Properties["error"].Enum, string(c.Code))
		}
	}
	b, err := rr.doc.MarshalJSON()
	if err != nil {
		panic("rest: " + err.Error())
	}
	rr.doc = newDocument(rr.cfg) // no request needs the megabytes; an operation that is added later needs one
	return Encode(json.RawMessage(b))
}

// OpenAPI is the document while operations are being registered, for what is no operation, such as
// webhooks.
func (rr *Router) OpenAPI() *huma.OpenAPI { return rr.doc }

// operation describes a route.
func (rr *Router) operation(rt *Route) *huma.Operation {
	op := &huma.Operation{
		OperationID: rt.ID, Method: rt.Method, Path: rt.Path, Tags: []string{rt.Tag}, Summary: rt.Summary,
		Description: rr.describe(rt), Security: rt.security(), Parameters: rt.Parameters(),
		Responses: rr.responses(rt), Extensions: map[string]any{"x-codes": rt.codesByStatus()},
	}
	if rt.OAuth {
		op.Extensions["x-codes"] = rt.oauthCodesByStatus()
	}
	if rt.in.body != nil {
		op.RequestBody = &huma.RequestBody{
			Required: rt.in.required, Content: map[string]*huma.MediaType{"application/json": {Schema: rt.in.schema}},
		}
	}
	if rt.OAuth {
		op.RequestBody.Content[formMedia] = &huma.MediaType{Schema: rt.in.schema}
	}
	return op
}

func (rt *Route) security() []map[string][]string {
	key := []map[string][]string{{BearerScheme: {}}, {HeaderScheme: {}}}
	session := map[string][]string{SessionScheme: {}}
	switch rt.Auth {
	case APIKeyOnly:
		return key
	case APIKeyOrSession, OperatorOnly:
		return append(key, session)
	case SessionOnly:
		return []map[string][]string{session}
	default:
		return []map[string][]string{}
	}
}

// Parameters are the parameters of the route as in the document.
func (rt *Route) Parameters() []*huma.Param {
	var all []*huma.Param
	header := func(name, text string, schema *huma.Schema) {
		all = append(all, &huma.Param{Name: name, In: "header", Description: text, Schema: schema})
	}
	for _, p := range rt.in.params {
		param := &huma.Param{
			Name: p.name, In: p.in, Required: p.in == "path", Description: p.schema.Description, Schema: p.schema,
		}
		if p.schema.Type == huma.TypeArray {
			exploded := true
			param.Style, param.Explode = "form", &exploded
			param.Description += " Repeat the parameter for several values, or separate them with commas."
		}
		all = append(all, param)
	}
	if rt.Replayed() {
		one, most := 1, 255
		header(
			"Idempotency-Key",
			"The same key and body within 24 hours return the first response again, without a second effect.",
			&huma.Schema{Type: huma.TypeString, MinLength: &one, MaxLength: &most},
		)
	}
	if rt.current != nil {
		header("If-None-Match", "An ETag that you have: 304 without a body if it is the current one.",
			&huma.Schema{Type: huma.TypeString})
	}
	if rt.get != nil {
		header("If-Match",
			"The ETag that you have read: if it is no longer the current one, PRECONDITION_FAILED and no change.",
			&huma.Schema{Type: huma.TypeString})
	}
	if rt.Stream {
		header("Last-Event-ID", "Resume after this event. Browsers send it by themselves when they reconnect.",
			&huma.Schema{Type: huma.TypeString})
	}
	return all
}

func (rr *Router) responses(rt *Route) map[string]*huma.Response {
	all := map[string]*huma.Response{
		"4XX": {Ref: "#/components/responses/Refusal"},
		"5XX": {Ref: "#/components/responses/ServerFault"},
	}
	if rt.OAuth {
		all["4XX"] = &huma.Response{Ref: "#/components/responses/OAuthError"}
		all["5XX"] = &huma.Response{Ref: "#/components/responses/OAuthError"}
	}
	if rt.Status >= http.StatusMultipleChoices { // there is no success to list beside the redirect
		all["default"] = &huma.Response{Ref: "#/components/responses/Refusal"}
	}
	if rt.Upgrade { // which has no body
		all["101"] = &huma.Response{Description: http.StatusText(http.StatusSwitchingProtocols)}
		all["200"] = &huma.Response{
			Description: "The same as 101 in HTTP/2 and HTTP/3 (RFC 8441, RFC 9220), where a proxy before this " +
				"server speaks them.",
		}
		return all
	}
	for _, status := range append([]int{rt.Status}, rt.AlsoStatus...) {
		var more []string
		if rt.Replayed() {
			more = append(more, "Idempotent-Replayed")
		}
		if rt.tagged() {
			more = append(more, "ETag")
		}
		if status == http.StatusCreated && rt.Auth != Public {
			more = append(more, "Location")
		}
		all[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Headers: headers(more...),
			Content: map[string]*huma.MediaType{"application/json": {Schema: rr.successSchema(rt)}},
		}
	}
	if rt.current != nil {
		all["304"] = &huma.Response{Description: http.StatusText(http.StatusNotModified), Headers: headers("ETag")}
	}
	if rt.CSV {
		all["200"].Content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	for _, media := range rt.Media {
		all["200"].Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	if rt.Stream {
		all["200"].Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return all
}

// failures are the responses of every operation that are no success. There are two of them, and not
// one for each status: they differ only in the code, and generators make a type, with a decoder, of
// each. x-codes lists an operation's codes.
func failures(registry huma.Registry) map[string]*huma.Response {
	schema := registry.Schema(reflect.TypeFor[failure](), true, "")
	response := func(text string, more ...string) *huma.Response {
		return &huma.Response{
			Description: text + " See `error.code`; the table of codes has the meaning and the status of each.",
			Headers:     headers(append(more, "Retry-After")...),
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}
	}
	return map[string]*huma.Response{
		"Refusal":     response("The request is refused.", "Idempotent-Replayed"),
		"ServerFault": response("The server failed, or cannot serve now."),
		"OAuthError": {
			Description: "An error as in RFC 6749 section 5.2. The table of device authorization codes describes " +
				"`error`.",
			Headers: headers("Retry-After"),
			Content: map[string]*huma.MediaType{
				"application/json": {Schema: registry.Schema(reflect.TypeFor[oauthFailure](), true, "")},
			},
		},
	}
}

// describe is the description of a route, with who may call it and what it counts as.
func (rr *Router) describe(rt *Route) string {
	paragraphs := []string{strings.TrimSpace(rt.Description)}
	line := func(format string, args ...any) { paragraphs = append(paragraphs, fmt.Sprintf(format, args...)) }
	counts := "write"
	switch {
	case rt.Rate == Deploy:
		counts = "deploy"
	case rt.Method == http.MethodGet, rt.Rate == AsRead:
		counts = "read"
	}
	switch {
	case rt.Auth == APIKeyOrSession:
		line("Scope: `%s`. Counts as a %s.", rt.Scope, counts)
	case rt.Auth == OperatorOnly:
		line(
			"Requires a signed-in operator, or an API key with the scope `%s`, which only `billetd key create` can "+
				"create. "+
				"Counts as a %s.",
			rt.Scope,
			counts,
		)
	case rt.Auth == APIKeyOnly:
		line("Requires an API key with any scope. A session is not accepted. Counts as a %s.", counts)
	case rt.Auth == SessionOnly && rt.Scope != "":
		line("Requires a signed-in user whose role has `%s`: %s. API keys are not accepted.", rt.Scope,
			strings.Join(rr.cfg.RolesWith(rt.Scope), ", "))
	case rt.Auth == SessionOnly:
		line("Requires a signed-in user with any role. API keys are not accepted.")
	}
	if len(rt.Errors) > 0 {
		var list []string
		for _, c := range Codes {
			if slices.Contains(rt.Errors, c.Code) {
				list = append(list, "`"+string(c.Code)+"`")
			}
		}
		if rt.OAuth {
			for _, code := range rt.Errors {
				list = append(list, "`"+string(code)+"`")
			}
		}
		line("May also return %s.", strings.Join(list, ", "))
	}
	return strings.TrimSpace(strings.Join(paragraphs, "\n\n"))
}

// Codes are all codes that the route can answer.
func (rt *Route) Codes() []apierr.Code {
	all := []apierr.Code{
		apierr.InvalidRequest, apierr.RequestTooLarge, apierr.UnsupportedMediaType, apierr.RequestTimeout,
		apierr.RateLimitExceeded, apierr.Internal, apierr.ServiceUnavailable,
	}
	key := []apierr.Code{
		apierr.MissingAPIKey, apierr.InvalidAPIKey, apierr.ExpiredAPIKey, apierr.RevokedAPIKey,
		apierr.NetworkNotAllowed,
	}
	switch rt.Auth {
	case APIKeyOrSession, OperatorOnly:
		all = append(append(all, key...), apierr.SignInRequired, apierr.InsufficientScope)
	case APIKeyOnly:
		all = append(all, key...)
	case SessionOnly:
		all = append(all, apierr.SignInRequired, apierr.NetworkNotAllowed)
		if rt.Scope != "" || rt.Method != http.MethodGet { // an operator's view of an account changes nothing
			all = append(all, apierr.InsufficientScope)
		}
	}
	if rt.Replayed() {
		all = append(all, apierr.IdempotencyKeyReused)
	}
	if rt.get != nil {
		all = append(all, apierr.PreconditionFailed)
	}
	if strings.Contains(rt.Path, "{") {
		all = append(all, apierr.NotFound)
	}
	return append(all, rt.Errors...)
}

// codesByStatus are all codes that the route can answer, in the order of the table.
func (rt *Route) codesByStatus() map[string][]apierr.Code {
	all := rt.Codes()
	byStatus := map[string][]apierr.Code{}
	for _, c := range Codes {
		if slices.Contains(all, c.Code) {
			byStatus[strconv.Itoa(c.Status)] = append(byStatus[strconv.Itoa(c.Status)], c.Code)
		}
	}
	return byStatus
}

// headers are those of every response, and more.
func headers(more ...string) map[string]*huma.Param {
	common := []string{
		"X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit",
		"RateLimit-Policy",
	}
	out := map[string]*huma.Param{}
	for _, name := range append(common, more...) {
		out[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
	return out
}
