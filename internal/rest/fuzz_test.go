package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/danielgtaylor/huma/v2"
)

// testRegistry is the registry of a document without operations.
func testRegistry() huma.Registry {
	return newDocument(Config{Document: &huma.OpenAPI{Components: &huma.Components{}}}).Components.Schemas
}

type instanceType string

// Enum lists the values.
func (instanceType) Enum() []instanceType {
	return []instanceType{"BARE_METAL", "VM", "SPOT", "CLUSTER"}
}

// createMachine is a body with fields of each sort.
type createMachine struct {
	Body struct {
		Provider        *string       `json:"provider,omitempty" maxLength:"100"`
		OfferID         *id.ID        `json:"offerId,omitempty" minLength:"1" maxLength:"40"`
		GPUCount        *int          `json:"gpuCount,omitempty" minimum:"0" maximum:"1000000"`
		InstanceType    *instanceType `json:"instanceType,omitempty" enum:"BARE_METAL,VM,SPOT,CLUSTER" means:"DEDICATED=VM"`
		SSHPublicKey    *string       `json:"ssh_public_key,omitempty" minLength:"1" maxLength:"20000" format:"multiline" aka:"sshPublicKey"`
		SSHKeyID        *id.ID        `json:"sshKeyId,omitempty" minLength:"1" maxLength:"40"`
		SSHKeyIDs       []id.ID       `json:"sshKeyIds,omitempty" minItems:"1" maxItems:"20" maxLength:"40"`
		Name            string        `json:"name" minLength:"1" maxLength:"64"`
		VolumeIDs       []id.ID       `json:"volumeIds,omitempty" maxItems:"8" maxLength:"40"`
		CloudInit       *string       `json:"cloudInit,omitempty" maxLength:"65536" format:"multiline"`
		Tags            []string      `json:"tags,omitempty" maxItems:"20"`
		AutoTerminateAt *time.Time    `json:"autoTerminateAt,omitempty"`
		MaxHourlyPrice  *money.Micros `json:"maxHourlyPrice,omitempty"`
		DryRun          bool          `json:"dryRun,omitempty"`
	}
}

type filterQuery struct {
	Paging
	Search         string        `query:"search" maxLength:"200"`
	GPUCount       *int          `query:"gpuCount" minimum:"0" maximum:"1000000"`
	MaxHourlyPrice *money.Micros `query:"maxHourlyPrice" minimum:"0"`
	Available      *bool         `query:"available"`
	Sort           []string      `query:"sort" maxItems:"7" maxLength:"40"`
	SortBy         string        `query:"sortBy" maxLength:"40"`
	SortOrder      SortOrder     `query:"sortOrder"`
	From           *time.Time    `query:"from"`
	To             *time.Time    `query:"to"`
	Format         string        `query:"format" enum:"json,csv"`
}

func (q filterQuery) Check() []apierr.FieldError {
	invalid := append(q.Paging.Check(), CheckSort(q.Sort, q.SortBy, q.SortOrder)...)
	if q.From != nil && q.To != nil && !q.From.Before(*q.To) {
		invalid = append(invalid, apierr.FieldError{Field: "query.to", Message: "must be later than from."})
	}
	return invalid
}

type statusQuery struct {
	Paging
	Sorting
	Status []instanceType `query:"status"`
	Type   []instanceType `query:"type"`
}

func (q statusQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), q.Sorting.Check()...)
}

type waitQuery struct {
	WaitFor        instanceType `query:"waitFor"`
	TimeoutSeconds *int         `query:"timeoutSeconds" minimum:"1" maximum:"60"`
}

// tellable checks that faults can be shown: each has a field and a sentence, is there once, and is
// safe in a log and on a screen.
func tellable(t *testing.T, of string, faults []apierr.FieldError) {
	t.Helper()
	seen := map[apierr.FieldError]bool{}
	for _, f := range faults {
		text := f.Field + f.Message
		if f.Field == "" || !strings.HasSuffix(f.Message, ".") && !strings.HasSuffix(f.Message, "?") || seen[f] ||
			!utf8.ValidString(text) ||
			strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q: fault %q", of, f)
		}
		seen[f] = true
	}
}

// names counts the names of all objects in a JSON text, and how many of them are there again in the
// same object.
func names(t *testing.T, text string) (all, twice, deepest int) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	type level struct {
		object bool
		name   bool // the next text is a name
		seen   map[string]bool
	}
	var stack []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all, twice, deepest
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var top *level
		if len(stack) > 0 {
			top = &stack[len(stack)-1]
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if top != nil && top.object {
			if top.name {
				all++
				if top.seen[token.(string)] {
					twice++
				}
				top.seen[token.(string)] = true
			}
			top.name = !top.name
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			object := token == json.Delim('{')
			stack = append(stack, level{object, object, map[string]bool{}})
			deepest = max(deepest, len(stack))
		}
	}
}

// A body is read as encoding/json reads it, and refused where that would be lenient.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":1},"a":1}`, `[[[[`, "\xff", `"\u0000"`,
		`{"a":1}{`, `1e999`, `{"":{"":""}}`, `"\ud800"`, `{"a":1,"\u0061":2}`, "", " ", "null", "\ufeff{}",
		strings.Repeat("[", 16) + strings.Repeat("]", 16), strings.Repeat("[", 17) + strings.Repeat("]", 17),
		strings.Repeat("[", 10_001), `-0`, `01`, `{"a":0.10}`, "{\"\x7f\":1,\"\x7f\":1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, faults := parse([]byte(s))
		tellable(t, s, faults)
		if !utf8.ValidString(s) || !json.Valid([]byte(s)) {
			if v != nil || len(faults) != 1 || faults[0].Field != "body" {
				t.Errorf("%q is taken: %v", s, faults)
			}
			return
		}
		_, twice, deepest := names(t, s)
		if deepest > maxDepth {
			if v != nil || len(faults) != 1 || !strings.Contains(faults[0].Message, "nested") {
				t.Errorf("%q has %d levels: %v", s, deepest, faults)
			}
			return
		}
		if len(faults) != twice {
			t.Errorf("%q has %d names again, and %v", s, twice, faults)
		}
		var want any
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("%q is %#v, not %#v (%v)", s, v, want, err)
		}
		// What is accepted means the same when written again.
		if again, more := parse(Encode(v)); len(more) > 0 || !reflect.DeepEqual(again, v) {
			t.Errorf("%q became %s, then %#v (%v)", s, Encode(v), again, more)
		}
	})
}

// Every error of a body is reported, whatever else is wrong with it, and what is valid is within
// the bounds of the document.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"offerId":"off_abc123","name":"a","ssh_public_key":"x","gpuCount":8,"tags":["a"]}`,
		`{"name":"a","maxHourlyPrice":1.5,"dryRun":true}`,
		`{"offerId":"","name":7,"gpuCuont":1,"tags":[1,"a"],"gpuCount":1.5}`,
		`{"autoTerminateAt":"2027-01-31T18:30:00Z","instanceType":"vm","sshKeyIds":[],"volumeIds":[null]}`,
		`{"name":null}`, `[]`, `null`, `{}`, `{"name":"a","Name":"b"}`,
		`{"autoTerminateAt":"9999-12-31T23:59:59-01:00"}`,
		`{"maxHourlyPrice":1e3}`, `{"maxHourlyPrice":0.0000001}`, `{"gpuCount":99999999999999999999}`,
		`{"name":"a\u0000"}`, `{"cloudInit":"a\u0000"}`, `{"cloudInit":"a\nb"}`, `{"tags":"a"}`,
		`{"dryRun":"true"}`, `{"sshKeyId":"` + strings.Repeat("x", 41) + `"}`,
	} {
		f.Add(s)
	}
	in := newInput(testRegistry(), nil, reflect.TypeFor[createMachine]())
	schema := in.resolve(in.schema)
	f.Fuzz(func(t *testing.T, text string) {
		decode := func(text string) (createMachine, decoded, error) {
			var into createMachine
			r := httptest.NewRequest("POST", "/", strings.NewReader(text))
			d, err := in.decode(httptest.NewRecorder(), r, &into)
			return into, d, err
		}
		got, d, err := decode(text)
		if err != nil {
			if len(text) <= MaxBody {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		tellable(t, text, d.invalid)
		tree, unread := parse([]byte(text))
		object, is := tree.(map[string]any)
		if !is || len(unread) > 0 {
			if len(d.invalid) == 0 {
				t.Errorf("%q is taken", text)
			}
			return
		}
		named := map[string]int{}
		for _, x := range d.invalid {
			named[root(x.Field)]++
		}
		checkNamedAlone(t, text, object, named, schema, func(text string) (decoded, error) {
			_, d, err := decode(text)
			return d, err
		})
		if len(d.invalid) > 0 {
			return
		}
		if !got.inBounds() {
			t.Errorf("%q became %+v", text, got.Body)
		}
		// What was understood is what was sent: written again, it is understood alike.
		again, d2, err := decode(string(d.canonical))
		if err != nil || len(d2.invalid) > 0 || !reflect.DeepEqual(again, got) ||
			!bytes.Equal(d2.canonical, d.canonical) {
			t.Errorf("%q became %s, then %+v (%v, %v)", text, d.canonical, again.Body, d2.invalid, err)
		}
	})
}

// inBounds reports whether a body is within the bounds of its schema.
func (in createMachine) inBounds() bool {
	b := in.Body
	length := func(s *string, low, high int) bool {
		return s == nil || utf8.RuneCountInString(*s) >= low && utf8.RuneCountInString(*s) <= high
	}
	year := 2000
	if b.AutoTerminateAt != nil {
		year = b.AutoTerminateAt.UTC().Year()
	}
	return length(&b.Name, 1, 64) && length((*string)(b.OfferID), 1, 40) && length(b.Provider, 0, 100) &&
		length(b.SSHPublicKey, 1, 20_000) && len(b.Tags) <= 20 && len(b.VolumeIDs) <= 8 &&
		(b.GPUCount == nil || *b.GPUCount >= 0 && *b.GPUCount <= 1_000_000) && year >= 1970 && year <= 9999 &&
		(b.InstanceType == nil || slices.Contains(instanceType("").Enum(), *b.InstanceType))
}

// checkNamedAlone checks that each field has the errors that it has when it is sent alone, and that
// missing required fields are reported.
func checkNamedAlone(
	t *testing.T, text string, object map[string]any, named map[string]int, schema *huma.Schema,
	decode func(text string) (decoded, error),
) {
	t.Helper()
	for name, value := range object {
		path := Shown(join("", name))
		if strings.ContainsAny(path, ".[") || name == "sshPublicKey" {
			continue // the root is another field, or the field is invalid beside another one only
		}
		alone, err := decode(string(Encode(map[string]any{name: value})))
		n := 0
		for _, x := range alone.invalid {
			if root(x.Field) == path {
				n++
			}
		}
		if err != nil || n != named[path] || n == 0 && schema.Properties[name] == nil {
			t.Errorf("%q: field %q has %d errors, want the %d that it has alone", text, name, named[path], n)
		}
	}
	for _, required := range schema.Required {
		if _, given := object[required]; !given && named[required] == 0 {
			t.Errorf("%q: missing %s is not reported", text, required)
		}
	}
}

// queries are inputs with parameters of each sort: pages, orders, words, numbers, money, times,
// lists.
var queries = []func() any{
	func() any { return new(filterQuery) }, func() any { return new(statusQuery) },
	func() any { return new(waitQuery) },
	func() any { return new(ListQuery) },
}

var querySeeds = []string{
	"page=1&limit=20", "page=0", "page=100001", "limit=101", "limit=5&per_page=5", "limit=5&per_page=6",
	"sort=-price", "sort=price&sortBy=price", "sortBy=price&sortOrder=desc", "sortOrder=asc", "sortBy=-price",
	"Page=1", "page=1&page=1",
	"available=True", "available=yes", "maxHourlyPrice=23.92", "maxHourlyPrice=-1", "maxHourlyPrice=1e3",
	"status=vm,SPOT", "status=vm&status=SPOT,cluster", "status=", "status=,",
	"from=2027-01-31T18:30:00Z&to=2027-01-31T18:30:00Z", "from=2027-01-31T18:30:00+01:00",
	"from=2027-01-31T18:30:00%2B01:00", "search=%ff", "search=%00", "search=", "%zz", "a;b", "format=CSV",
	"format=csv&page=2", "waitFor=vm", "timeoutSeconds=5", "type=vm,spot", "gpuCount=٣", "=1", "&&", "page",
	"page=%201",
}

// queryInBounds reports whether a query is within the bounds of its schema.
func queryInBounds(query any) bool {
	paging := Paging{}
	switch q := query.(type) {
	case *filterQuery:
		paging = q.Paging
		negative := q.MaxHourlyPrice != nil && *q.MaxHourlyPrice < 0 || q.GPUCount != nil && *q.GPUCount < 0
		backwards := q.From != nil && q.To != nil && !q.From.Before(*q.To)
		if negative || backwards || len([]rune(q.Search)) > 200 {
			return false
		}
	case *statusQuery:
		paging = q.Paging
	case *ListQuery:
		paging = q.Paging
	case *waitQuery:
		return q.TimeoutSeconds == nil || *q.TimeoutSeconds >= 1 && *q.TimeoutSeconds <= 60
	}
	p := paging.of()
	return p.Number >= 1 && p.Number <= 100_000 && p.Limit >= 1 && p.Limit <= 100 &&
		p.Offset() == (p.Number-1)*p.Limit
}

// namedIn returns the parameters that errors name.
func namedIn(t *testing.T, text string, list []apierr.FieldError) map[string]bool {
	t.Helper()
	named := map[string]bool{}
	for _, x := range list {
		if x.Field != "query" && !strings.HasPrefix(x.Field, "query.") {
			t.Errorf("%q: %v", text, x)
		}
		named[x.Field] = true
		if i := strings.IndexByte(x.Field, '['); i > 0 { // an entry of a list
			named[x.Field[:i]] = true
		}
	}
	return named
}

// Every parameter that is unknown, given twice or out of bounds is reported, and what is valid is
// within bounds, whichever way it was spelled.
func FuzzQuery(f *testing.F) {
	for _, s := range querySeeds {
		for i := range queries {
			f.Add(s, uint8(i))
		}
	}
	var inputs []*input
	for _, make := range queries {
		inputs = append(inputs, newInput(testRegistry(), nil, reflect.TypeOf(make()).Elem()))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		i := int(which) % len(queries)
		in := inputs[i]
		decode := func(text string) (any, []apierr.FieldError) {
			into := queries[i]()
			d, err := in.decode(
				httptest.NewRecorder(),
				&http.Request{Method: "GET", URL: &url.URL{Path: "/", RawQuery: text}, Header: http.Header{}},
				into,
			)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return into, d.invalid
		}
		got, faults := decode(text)
		tellable(t, text, faults)
		named := namedIn(t, text, faults)
		values, err := url.ParseQuery(text)
		if err != nil && !named["query"] {
			t.Errorf("%q is no query, and that is not said: %v", text, faults)
		}
		for name, list := range values {
			known := slices.Contains(in.queries, name)
			bad := !known || len(list) > 1 && !in.lists(name) || !utf8.ValidString(list[0])
			if bad && !named["query."+Shown(name)] {
				t.Errorf("%q: %q is not named: %v", text, name, faults)
			}
		}
		if len(faults) > 0 {
			return
		}
		if !queryInBounds(got) {
			t.Errorf("%q became %+v", text, got)
		}
		// Sorted and escaped afresh it means the same.
		if again, more := decode(values.Encode()); len(more) > 0 || !reflect.DeepEqual(again, got) {
			t.Errorf("%q became %+v, then %+v (%v)", text, got, again, more)
		}
	})
}

// A client cannot choose its address: it is that of the peer, or was written by a trusted proxy.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"", "198.51.100.7", "198.51.100.7, 10.0.0.2", "198.51.100.7,10.0.0.2,203.0.113.9", "10.0.0.3", "unknown", ",",
		"::ffff:198.51.100.7", "fe80::1%eth0", "198.51.100.7:80", "[::1]",
	} {
		f.Add("10.0.0.1:80", s, "")
		f.Add("203.0.113.9:80", s, s)
		f.Add("[2001:db8::1%eth0]:80", s, "10.0.0.1")
	}
	s := &Router{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Fuzz(func(t *testing.T, peerText, first, second string) {
		r := &http.Request{RemoteAddr: peerText, Header: http.Header{"X-Forwarded-For": {first, second}}}
		got, other := s.Address(r), peer(r)
		if got.Zone() != "" || got.Is4In6() || !other.IsValid() && got.IsValid() {
			t.Errorf("%q: %v", r.RemoteAddr, got)
		}
		if !s.trusted(other) {
			if got != other {
				t.Errorf("%q said to be %v: %q", r.RemoteAddr, got, r.Header)
			}
			return
		}
		// Everything behind the one that counts was written by proxies of ours.
		want := other
		for _, hop := range slices.Backward(strings.Split(first+","+second, ",")) {
			if strings.TrimSpace(hop) == "" {
				continue
			}
			a, read := parseHop(strings.TrimSpace(hop))
			if !read {
				break
			}
			if want = a; !s.trusted(want) {
				break
			}
		}
		if got != want {
			t.Errorf("%q, %q: %v, not %v", r.RemoteAddr, r.Header, got, want)
		}
		if network := networkOf(got); got.IsValid() && network == "" || len(network) > 43 {
			t.Errorf("%v is counted as %q", got, network)
		}
	})
}
