package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
)

// tellable checks that faults can be shown: each has a field and a sentence, is there once, and is safe in a log and on a screen.
func tellable(t *testing.T, of string, faults []apierr.FieldError) {
	t.Helper()
	seen := map[apierr.FieldError]bool{}
	for _, f := range faults {
		text := f.Field + f.Message
		if f.Field == "" || !strings.HasSuffix(f.Message, ".") && !strings.HasSuffix(f.Message, "?") || seen[f] || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q: fault %q", of, f)
		}
		seen[f] = true
	}
}

// names counts the names of all objects in a JSON text, and how many of them are there again in the same object.
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
		`{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":1},"a":1}`, `[[[[`, "\xff", `"\u0000"`, `{"a":1}{`, `1e999`, `{"":{"":""}}`, `"\ud800"`, `{"a":1,"\u0061":2}`, "", " ", "null", "\ufeff{}",
		strings.Repeat("[", 16) + strings.Repeat("]", 16), strings.Repeat("[", 17) + strings.Repeat("]", 17), strings.Repeat("[", 10_001), `-0`, `01`, `{"a":0.10}`, "{\"\x7f\":1,\"\x7f\":1}",
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
		if again, more := parse(encode(v)); len(more) > 0 || !reflect.DeepEqual(again, v) {
			t.Errorf("%q became %s, then %#v (%v)", s, encode(v), again, more)
		}
	})
}

// Every fault of a body is named, whatever else is wrong with it, and what is found good lies within the bounds of the document.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"offerId":"off_abc123","name":"a","ssh_public_key":"x","gpuCount":8,"tags":["a"],"maxHourlyPrice":1.5,"dryRun":true}`, `{"offerId":"","name":7,"gpuCuont":1,"tags":[1,"a"],"gpuCount":1.5}`,
		`{"autoTerminateAt":"2027-01-31T18:30:00Z","instanceType":"vm","sshKeyIds":[],"volumeIds":[null]}`, `{"name":null}`, `[]`, `null`, `{}`, `{"name":"a","Name":"b"}`, `{"autoTerminateAt":"9999-12-31T23:59:59-01:00"}`,
		`{"maxHourlyPrice":1e3}`, `{"maxHourlyPrice":0.0000001}`, `{"gpuCount":99999999999999999999}`, `{"name":"a\u0000"}`, `{"cloudInit":"a\u0000"}`, `{"cloudInit":"a\nb"}`, `{"tags":"a"}`, `{"dryRun":"true"}`, `{"sshKeyId":"` + strings.Repeat("x", 41) + `"}`,
	} {
		f.Add(s)
	}
	s := routed(Config{Version: "test"})
	in := s.paths[Base+"/deployments"].routes["POST"].in
	schema := in.resolve(in.schema)
	f.Fuzz(func(t *testing.T, text string) {
		decode := func(text string) (createDeployment, decoded, error) {
			var into createDeployment
			r := httptest.NewRequest("POST", "/", strings.NewReader(text))
			d, err := in.decode(httptest.NewRecorder(), r, &into)
			return into, d, err
		}
		got, d, err := decode(text)
		if err != nil {
			if len(text) <= maxBody {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		tellable(t, text, d.faults)
		tree, unread := parse([]byte(text))
		object, is := tree.(map[string]any)
		if !is || len(unread) > 0 {
			if len(d.faults) == 0 {
				t.Errorf("%q is taken", text)
			}
			return
		}
		named := map[string]int{}
		for _, x := range d.faults {
			named[root(x.Field)]++
		}
		for name, value := range object {
			at := shown(join("", name))
			if strings.ContainsAny(at, ".[") {
				continue // whose root is another
			}
			_, alone, err := decode(string(encode(map[string]any{name: value})))
			n := 0
			for _, x := range alone.faults {
				if root(x.Field) == at {
					n++
				}
			}
			if err != nil || n != named[at] || n == 0 && schema.Properties[name] == nil {
				if name != "sshPublicKey" { // which is at fault beside ssh_public_key only
					t.Errorf("%q: of %q %d faults are named, and alone %d", text, name, named[at], n)
				}
			}
		}
		for _, required := range schema.Required {
			if _, given := object[required]; !given && named[required] == 0 {
				t.Errorf("%q: %s is missing", text, required)
			}
		}
		if len(d.faults) > 0 {
			return
		}
		b := got.Body
		length := func(s *string, low, high int) bool {
			return s == nil || utf8.RuneCountInString(*s) >= low && utf8.RuneCountInString(*s) <= high
		}
		if !length(&b.Name, 1, 64) || !length((*string)(&b.OfferID), 1, 40) || !length(b.Provider, 0, 100) || !length(b.SSHPublicKey, 1, 20_000) || len(b.Tags) > 20 || len(b.VolumeIDs) > 8 ||
			b.GPUCount != nil && (*b.GPUCount < 0 || *b.GPUCount > 1_000_000) || b.AutoTerminateAt != nil && (b.AutoTerminateAt.UTC().Year() < 1970 || b.AutoTerminateAt.UTC().Year() > 9999) ||
			b.InstanceType != nil && !slices.Contains([]string{"BARE_METAL", "VM", "SPOT", "CLUSTER"}, *b.InstanceType) {
			t.Errorf("%q became %+v", text, b)
		}
		// What was understood is what was sent: written again, it is understood alike.
		again, d2, err := decode(string(d.canonical))
		if err != nil || len(d2.faults) > 0 || !reflect.DeepEqual(again, got) || !bytes.Equal(d2.canonical, d.canonical) {
			t.Errorf("%q became %s, then %+v (%v, %v)", text, d.canonical, again.Body, d2.faults, err)
		}
	})
}

// queries are the inputs with the most parameters of each sort: pages, orders, words, numbers, money, times, lists.
var queries = []func() any{
	func() any { return new(offersQuery) }, func() any { return new(deploymentsQuery) }, func() any { return new(transactionsQuery) }, func() any { return new(getDeployment) }, func() any { return new(listQuery) },
	func() any { return new(usageQuery) }, func() any { return new(historyQuery) },
}

// Every parameter that is unknown, given twice or out of bounds is named, and what is found good is within bounds, whichever way it was spelt.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"page=1&limit=20", "page=0", "page=100001", "limit=101", "limit=5&per_page=5", "limit=5&per_page=6", "sort=-price", "sort=price&sortBy=price", "sortBy=price&sortOrder=desc", "sortOrder=asc", "sortBy=-price", "Page=1", "page=1&page=1",
		"available=True", "available=yes", "maxHourlyPrice=23.92", "maxHourlyPrice=-1", "maxHourlyPrice=1e3", "status=running,STOPPED", "status=running&status=STOPPED,failed", "status=", "status=,", "from=2027-01-31T18:30:00Z&to=2027-01-31T18:30:00Z", "from=2027-01-31T18:30:00+01:00",
		"from=2027-01-31T18:30:00%2B01:00", "search=%ff", "search=%00", "search=", "%zz", "a;b", "format=CSV", "format=csv&page=2", "waitFor=running", "timeoutSeconds=5", "type=charge,refund", "gpuCount=٣", "=1", "&&", "page", "page=%201",
	} {
		for i := range queries {
			f.Add(s, uint8(i))
		}
	}
	var inputs []*input
	for _, make := range queries {
		inputs = append(inputs, newInput(newDocument("test").Components.Schemas, reflect.TypeOf(make()).Elem()))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		i := int(which) % len(queries)
		in := inputs[i]
		decode := func(text string) (any, []apierr.FieldError) {
			into := queries[i]()
			d, err := in.decode(httptest.NewRecorder(), &http.Request{Method: "GET", URL: &url.URL{Path: "/", RawQuery: text}, Header: http.Header{}}, into)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return into, d.faults
		}
		got, faults := decode(text)
		tellable(t, text, faults)
		named := map[string]bool{}
		for _, x := range faults {
			if x.Field != "query" && !strings.HasPrefix(x.Field, "query.") {
				t.Errorf("%q: %v", text, x)
			}
			named[x.Field] = true
			if i := strings.IndexByte(x.Field, '['); i > 0 { // one of a list
				named[x.Field[:i]] = true
			}
		}
		values, err := url.ParseQuery(text)
		if err != nil && !named["query"] {
			t.Errorf("%q is no query, and that is not said: %v", text, faults)
		}
		for name, list := range values {
			if bad := !slices.Contains(in.queries, name) || len(list) > 1 && !in.lists(name) || !utf8.ValidString(list[0]); bad && !named["query."+shown(name)] {
				t.Errorf("%q: %q is not named: %v", text, name, faults)
			}
		}
		if len(faults) > 0 {
			return
		}
		var p *page
		switch q := got.(type) {
		case *offersQuery:
			p = &q.page
			if _, known := catalog.ParseSort(sorted(q.Sort, q.SortBy, q.SortOrder)); !known || q.MaxHourlyPrice != nil && *q.MaxHourlyPrice < 0 || q.GPUCount != nil && *q.GPUCount < 0 || len([]rune(q.Search)) > 200 {
				t.Errorf("%q became %+v", text, q)
			}
		case *deploymentsQuery:
			p = &q.page
		case *transactionsQuery:
			p = &q.page
			if q.From != nil && q.To != nil && !q.From.Before(*q.To) {
				t.Errorf("%q became %+v", text, q)
			}
		case *listQuery:
			p = &q.page
		case *getDeployment:
			if q.TimeoutSeconds != nil && (*q.TimeoutSeconds < 1 || *q.TimeoutSeconds > 60 || q.WaitFor == "") {
				t.Errorf("%q became %+v", text, q)
			}
		}
		if p != nil {
			if of := p.of(); of.Number < 1 || of.Number > 100_000 || of.Limit < 1 || of.Limit > 100 || of.Offset() != (of.Number-1)*of.Limit {
				t.Errorf("%q became %+v", text, of)
			}
		}
		// Sorted and escaped afresh it means the same.
		if again, more := decode(values.Encode()); len(more) > 0 || !reflect.DeepEqual(again, got) {
			t.Errorf("%q became %+v, then %+v (%v)", text, got, again, more)
		}
	})
}

// A key is found where it was sent in one way, and nothing is a key that was not sent.
func FuzzCredential(f *testing.F) {
	f.Add("Bearer pk_live_x", "", uint8(1))
	f.Add("bearer  pk_live_x ", "pk_live_x", uint8(3))
	f.Add("Basic eDp5", "pk_live_x", uint8(3))
	f.Add("Bearer", "", uint8(2))
	f.Add("Bearer a b", "a", uint8(7))
	f.Add("", " ", uint8(6))
	f.Fuzz(func(t *testing.T, bearer, plain string, sent uint8) {
		r := &http.Request{Header: http.Header{}}
		for bit, header := range []struct{ name, value string }{{"Authorization", bearer}, {"X-Api-Key", plain}, {"Authorization", bearer}, {"X-Api-Key", plain}} {
			if sent&(1<<bit) != 0 {
				r.Header[header.name] = append(r.Header[header.name], header.value)
			}
		}
		secret, err := credential(r)
		bearers, plains := len(r.Header["Authorization"]), len(r.Header["X-Api-Key"])
		scheme, token, _ := strings.Cut(bearer, " ")
		token = strings.TrimSpace(token)
		good := bearers < 2 && plains < 2 && (bearers == 0 || strings.EqualFold(scheme, "bearer") && token != "") && (plains == 0 || plain != "") && (bearers == 0 || plains == 0 || token == plain)
		switch {
		case good != (err == nil):
			t.Errorf("%q: %q, %v", r.Header, secret, err)
		case err != nil:
			if code := apierr.CodeOf(err); secret != "" || code != apierr.InvalidAPIKey && code != apierr.InvalidRequest {
				t.Errorf("%q: %q, %v", r.Header, secret, err)
			}
		case secret == "" != (bearers+plains == 0), bearers == 1 && secret != token, plains == 1 && secret != plain:
			t.Errorf("%q: %q", r.Header, secret)
		}
	})
}

// Nobody can say of himself where he is: the address is that of the other end, or was written by a proxy of ours.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"", "198.51.100.7", "198.51.100.7, 10.0.0.2", "198.51.100.7,10.0.0.2,203.0.113.9", "10.0.0.3", "unknown", ",", "::ffff:198.51.100.7", "fe80::1%eth0", "198.51.100.7:80", "[::1]"} {
		f.Add("10.0.0.1:80", s, "")
		f.Add("203.0.113.9:80", s, s)
		f.Add("[2001:db8::1%eth0]:80", s, "10.0.0.1")
	}
	s := &server{c: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Fuzz(func(t *testing.T, peerText, first, second string) {
		r := &http.Request{RemoteAddr: peerText, Header: http.Header{"X-Forwarded-For": {first, second}}}
		got, other := s.address(r), peer(r)
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

// A spreadsheet that opens the statement runs nothing, and the text can be had back.
func FuzzHarmless(f *testing.F) {
	for _, s := range []string{"", "paid in", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "\n=1", " =1", "＝1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := harmless(s)
		if got != "" && strings.ContainsRune("=+-@\t\r\n", rune(got[0])) || got != s && got != "'"+s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// No body, however mangled, is answered with a fault of ours.
func FuzzCreateSSHKey(f *testing.F) {
	for _, s := range []string{`{"name":"a","publicKey":"b"}`, `{"name":{},"publicKey":[]}`, `{`, "\x00", `{"name":"\ud800"}`} {
		f.Add(s)
	}
	one := newWorld(f)
	one.s.c.Limiter = allowAll{}
	f.Fuzz(func(t *testing.T, body string) {
		w := *one
		w.t = t
		if r := w.do(w.ada, "POST", Base+"/ssh-keys", body); r.status != http.StatusBadRequest && r.status != http.StatusCreated && r.status != http.StatusConflict {
			t.Errorf("%q: %d %s", body, r.status, r.body)
		}
	})
}

// Whatever comes over a connection is answered with envelopes or not at all, and what is answered is HTTP.
func FuzzConnection(f *testing.F) {
	one := newWorld(f)
	one.s.c.Limiter = allowAll{}
	good := one.get(Base + "/providers")
	for _, s := range []string{
		"", "x", "\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", good, good + good, good + "x\r\n\r\n" + good, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
		"POST /api/v1/inventory/ssh-keys HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", "GET http://b/ HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	address := one.guardedServer()
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = c.Write(said)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		heard, err := io.ReadAll(c)
		if err != nil && len(heard) == 0 {
			return // it gave up before we had said everything
		}
		for rest := heard; len(rest) > 0; {
			head, body, is := bytes.Cut(rest, []byte("\r\n\r\n"))
			text := string(head)
			if text == "HTTP/1.1 100 Continue" {
				rest = body
				continue
			}
			length := -1
			for line := range strings.SplitSeq(text, "\r\n") {
				if n, has := strings.CutPrefix(line, "Content-Length: "); has {
					length, _ = strconv.Atoi(n)
				}
			}
			if !is || !strings.HasPrefix(text, "HTTP/1.") || !strings.Contains(text, "\r\nX-Request-Id: req_") || !strings.Contains(text, "\r\nX-RateLimit-Reset: ") || length < 0 {
				t.Fatalf("%q is answered %q", said, heard)
			}
			if !bytes.HasPrefix(body, []byte(`{"success":`)) { // the answer to a HEAD, a page, or the document
				if !strings.Contains(text, "Content-Type: application/json") || bytes.HasPrefix(body, []byte("{")) {
					return
				}
				rest = body
				continue
			}
			if length > len(body) || !json.Valid(body[:length]) {
				t.Fatalf("%q is answered %q", said, heard)
			}
			rest = body[length:]
		}
	})
}
