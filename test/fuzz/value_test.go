package fuzz_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

// dice makes all choices of a run.
type dice struct{ *rand.Rand }

// in is true once in n times.
func (d dice) in(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// draw returns a value of a generator.
func draw[T any](d dice, g *rapid.Generator[T]) T { return g.Example(int(d.Int64())) }

// odd are texts that have broken programs. None has to be refused everywhere.
var odd = []string{
	"", " ", "null", "undefined", "true", "0", "-1", "NaN", "1e9", "'", `"`, `\`, "%00", "%s%n%d", "{{7*7}}",
	"${7*7}", "../../etc/passwd", "<script>alert(1)</script>",
	"' OR '1'='1", "'; DROP TABLE account; --", "a\u202eb", "\ufeff", "é", "e\u0301", "训练", "🤖", "\u2028", "İ",
	"ß", "ﬃ", "Ω", "a\tb", "$1", "?", "%", "_", "*", "+1", "1,5", "١",
	"__proto__", "constructor", "-", "--help", "..", ".", "/", "//", "[]", "{}", "off_", "dep_", "ssh_", "vol_0",
	"DEP_01JD", "pk_live_", strings.Repeat("x", 300), strings.Repeat("é", 64),
}

// valid returns a value that the schema allows. If the name implies a meaning, the value is mostly
// a sensible one.
func (f *fuzzer) valid(r *request, s *schema, name string) any {
	s = f.doc.resolve(s)
	if s.nullable() && f.in(8) {
		return nil
	}
	if name == "seconds" && r.op.ID == "advanceSimulator" {
		return 1 + f.IntN(600) // advancing by a year takes minutes
	}
	if s.kind() != "array" && !f.in(12) {
		if v := f.sensible(r, name); v != nil {
			return v
		}
	}
	switch s.kind() {
	case "object":
		return f.object(r, s)
	case "array":
		low, high := 0, 3
		if s.MinItems != nil {
			low = *s.MinItems
		}
		if s.MaxItems != nil {
			high = max(low, min(high, *s.MaxItems))
		}
		list := make([]any, low+f.IntN(high-low+1))
		for i := range list {
			list[i] = f.valid(r, s.Items, name)
		}
		return list
	case "string":
		return f.validText(s)
	case "boolean":
		return f.in(2)
	case "integer":
		return draw(f.dice, rapid.Int64Range(bound(s.Minimum, -1<<40), bound(s.Maximum, 1<<40)))
	case "number":
		return json.Number(decimal(draw(
			f.dice, rapid.Int64Range(bound(s.Minimum, -1000)*1_000_000, bound(s.Maximum, 1_000_000)*1_000_000),
		)))
	}
	return nil
}

func (f *fuzzer) validText(s *schema) any {
	if len(s.Enum) > 0 {
		return pick(f.dice, s.Enum)
	}
	if s.Format == "date-time" {
		return f.moment()
	}
	low, high := 0, 48
	if s.MinLength != nil {
		low = *s.MinLength
	}
	if s.MaxLength != nil {
		high = min(high, *s.MaxLength)
	}
	high = max(low, high)
	if text := pick(f.dice, odd); f.in(3) && fitsLength(s, text) {
		return text
	}
	return draw(f.dice, rapid.StringN(low, high, -1))
}

func fitsLength(s *schema, text string) bool {
	n := len([]rune(text))
	return (s.MinLength == nil || n >= *s.MinLength) && (s.MaxLength == nil || n <= *s.MaxLength)
}

func bound(b *float64, otherwise int64) int64 {
	if b == nil {
		return otherwise
	}
	return int64(*b)
}

// decimal writes millionths in the API's format.
func decimal(micros int64) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	return fmt.Sprintf("%s%d.%06d", sign, micros/1_000_000, micros%1_000_000)
}

// moment returns a time, mostly near the server's.
func (f *fuzzer) moment() string {
	at := f.now.Add(time.Duration(f.Int64N(int64(96*time.Hour))) - 48*time.Hour)
	switch f.IntN(8) {
	case 0:
		at = time.Unix(f.Int64N(253402300800), 0)
	case 1:
		return at.In(time.FixedZone("", (f.IntN(27)-12)*3600)).Format(time.RFC3339)
	case 2:
		return at.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	return at.UTC().Format(time.RFC3339)
}

// sensible returns a value for a field name with which the request can have an effect, nil if the
// name implies nothing.
func (f *fuzzer) sensible(r *request, name string) any {
	for _, v := range []any{
		f.offerValue(r, name), f.idValue(r, name), f.userValue(r, name), f.timeValue(name), f.settingValue(r, name),
	} {
		if v != nil {
			return v
		}
	}
	return nil
}

// offerValue returns a value that belongs to the offer of the request.
func (f *fuzzer) offerValue(r *request, name string) any {
	o := r.offer
	if o == nil {
		o = pick(f.dice, f.offers)
		if r.op.ID == "createVolume" || r.op.ID == "attachVolume" {
			o = f.offers[0]
		}
		r.offer = o
	}
	switch name {
	case "offerId", "provider", "gpuType", "gpuCount", "region", "instanceType":
		if name == "offerId" {
			name = "id"
		}
		return o[name]
	case "operatingSystem":
		if list, _ := o["operatingSystems"].([]any); len(list) > 0 {
			return pick(f.dice, list)
		}
	}
	return nil
}

// idValue returns a key, or the id of a thing that exists.
func (f *fuzzer) idValue(r *request, name string) any {
	switch name {
	case "publicKey", "ssh_public_key", "sshPublicKey":
		return f.publicKey()
	case "sshKeyId", "sshKeyIds":
		return orNil(f.known(r, "ssh"))
	case "volumeIds", "volumeId":
		return orNil(f.known(r, "vol"))
	case "deploymentId":
		return orNil(f.known(r, "dep"))
	case "quoteId":
		return orNil(f.known(r, "quo"))
	}
	return nil
}

// userValue returns what a user signs in with.
func (f *fuzzer) userValue(r *request, name string) any {
	switch name {
	case "token":
		return orNil(f.token)
	case "email":
		if r.op.ID != "signIn" {
			return "p" + strconv.FormatUint(f.Uint64()>>30, 36) + "@billet.test"
		}
		return f.demo.Email
	case "password":
		return f.demo.Password
	}
	return nil
}

// timeValue returns a time near the server's.
func (f *fuzzer) timeValue(name string) any {
	switch name {
	case "autoTerminateAt", "expiresAt":
		return f.now.Add(30*time.Minute + time.Duration(f.Int64N(int64(72*time.Hour)))).UTC().Format(time.RFC3339)
	case "from":
		return f.now.Add(-time.Duration(f.Int64N(int64(72 * time.Hour)))).UTC().Format(time.RFC3339)
	case "to":
		return f.now.Add(time.Duration(f.Int64N(int64(72 * time.Hour)))).UTC().Format(time.RFC3339)
	}
	return nil
}

// limitValue returns a limit of a deployment.
func (f *fuzzer) limitValue(name string) any {
	switch name {
	case "maxSpend":
		return json.Number(strconv.Itoa(30 + f.IntN(400)))
	case "maxRuntimeMinutes":
		return 25 + f.IntN(300)
	case "maxHourlyPrice":
		return json.Number("1000000")
	}
	return nil
}

// settingValue returns any other value.
func (f *fuzzer) settingValue(r *request, name string) any {
	if v := f.limitValue(name); v != nil {
		return v
	}
	switch name {
	case "name":
		return "n-" + strconv.FormatUint(f.Uint64()>>20, 36)
	case "tags", "tag":
		return pick(f.dice, []string{"red", "green", "blue", "grün"}) + strconv.Itoa(f.IntN(9))
	case "search":
		return pick(f.dice, []string{"b200", "nvidia h100", "dallas", "n-", "infiniband"})
	case "sizeGb":
		return 1 + f.IntN(300)
	case "cloudInit":
		return "#cloud-config\npackages: [git]\n"
	case "allowedNetworks":
		return pick(f.dice, []string{"127.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1"})
	case "url":
		return f.inbox + "/" + strconv.Itoa(f.IntN(9))
	case "types":
		return pick(f.dice, []string{"deployment.running", "deployment.*", "volume.*", "account.*", "webhook.*"})
	case "page":
		return 1 + f.IntN(3)
	case "kind":
		if r.op.ID == "addSimulatorFault" {
			return pick(f.dice, []string{"unavailable", "lost-answer", "no-capacity"}) // slow faults take real time
		}
	case "amount", "credit":
		return json.Number(strconv.Itoa(1+f.IntN(500)) + ".25")
	case "dryRun":
		return f.in(4)
	case "eraseLocalDisks":
		return true
	case "client_id":
		return "fuzzer"
	case "grant_type":
		return "urn:ietf:params:oauth:grant-type:device_code"
	case "terminationProtection":
		return f.in(4)
	}
	return nil
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// machine returns a server of the operator. Nothing answers at the address of its BMC.
func (f *fuzzer) machine() map[string]any {
	n := f.Uint64()
	return map[string]any{
		"name": "gpu-" + strconv.FormatUint(n>>20, 36), "bmcUrl": fmt.Sprintf("https://127.0.%d.%d", n%256, n>>8%256),
		"bmcUser": "admin", "bmcPassword": "a password of a BMC", "region": "oslo-1", "gpuType": "NVIDIA H100",
		"gpuCount": 8, "gpuMemoryGb": 80, "hourlyPrice": json.Number("12.5"), "rack": "A12", "height": 4,
		"macs":    []string{fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", n>>16%256, n>>24%256, n>>32%256, n>>40%256)},
		"address": fmt.Sprintf("10.%d.%d.%d/8", n>>16%256, n>>24%256, 1+n>>32%250), "gateway": "10.255.255.254",
	}
}

// publicKey returns a key that follows from the seed.
func (f *fuzzer) publicKey() string {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(f.Uint64())
	}
	k, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " me@here"
}

// object has the required fields, and some of the others.
func (f *fuzzer) object(r *request, s *schema) map[string]any {
	out := map[string]any{}
	often := pick(f.dice, []int{2, 3, 8})
	for _, name := range sortedKeys(s.Properties) {
		if slices.Contains(s.Required, name) || f.in(often) {
			out[name] = f.valid(r, s.Properties[name], name)
		}
	}
	if len(out) == 0 && len(s.Properties) > 0 && !f.in(8) { // an empty PATCH is refused
		name := pick(f.dice, sortedKeys(s.Properties))
		out[name] = f.valid(r, s.Properties[name], name)
	}
	// Of alternatives, one.
	keys := []string{"ssh_public_key", "sshPublicKey", "sshKeyId", "sshKeyIds"}
	if s.Properties[keys[0]] != nil && !f.in(12) {
		for _, k := range keys {
			delete(out, k)
		}
		k := pick(f.dice, keys)
		of := s.Properties[k]
		if of == nil { // an alias, which the document mentions in text only
			of = s.Properties[keys[0]]
		}
		out[k] = f.valid(r, of, k)
		if out["volumeIds"] != nil && f.in(2) {
			delete(out, "volumeIds")
		}
		if out["cloudInit"] != nil && f.in(2) {
			delete(out, "cloudInit")
		}
		out["operatingSystem"] = f.sensible(r, "operatingSystem")
	}
	if s.Properties["offerId"] != nil && s.Properties["candidates"] != nil && !f.in(12) {
		f.chooseOffer(r, s, out)
	}
	return out
}

// chooseOffer names what to launch in one of the possible ways.
func (f *fuzzer) chooseOffer(r *request, s *schema, out map[string]any) {
	for _, k := range []string{"offerId", "candidates", "quoteId"} {
		delete(out, k)
	}
	if quote := f.known(r, "quo"); quote != "" && s.Properties["quoteId"] != nil && f.in(4) {
		out["quoteId"] = quote
		for _, k := range []string{
			"provider", "gpuType", "gpuCount", "region", "instanceType", "operatingSystem",
		} { // the quote's offer has its own
			if !slices.Contains(s.Required, k) && !f.in(8) {
				delete(out, k)
			}
		}
		return
	}
	if f.in(4) {
		out["candidates"] = f.valid(r, s.Properties["candidates"], "candidates")
		return
	}
	out["offerId"] = f.valid(r, s.Properties["offerId"], "offerId")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// bare is a text that is inserted into a body unchanged, be it JSON or not.
type bare string

func (b bare) MarshalJSON() ([]byte, error) { return []byte(b), nil }

// against returns a value that the schema forbids.
func (f *fuzzer) against(s *schema) any {
	s = f.doc.resolve(s)
	var bad []any
	wrong := map[string]any{
		"string": "x", "boolean": true, "integer": 7, "number": bare("7.5"), "array": []any{},
		"object": map[string]any{},
	}
	for _, k := range sortedKeys(wrong) {
		if k != s.kind() && !(s.kind() == "number" && k == "integer") {
			bad = append(bad, wrong[k])
		}
	}
	if !s.nullable() {
		bad = append(bad, nil)
	}
	switch s.kind() {
	case "string":
		bad = append(bad, textsAgainst(s)...)
	case "integer":
		bad = append(
			bad, bare("1.5"), bare("1e3"), bare("1e999"), bare("99999999999999999999"),
			bare("-99999999999999999999"),
		)
		if s.Minimum != nil {
			bad = append(bad, int64(*s.Minimum)-1)
		}
		if s.Maximum != nil {
			bad = append(bad, int64(*s.Maximum)+1)
		}
	case "number":
		bad = append(bad, bare("0.0000001"), bare("1e3"), bare("1e999"), bare("99999999999999999999"), bare("1E-400"))
	case "array":
		if s.MaxItems != nil {
			bad = append(bad, make([]any, *s.MaxItems+1))
		}
		if s.MinItems != nil && *s.MinItems > 0 {
			bad = append(bad, []any{})
		}
		if f.doc.resolve(s.Items).kind() != "" {
			bad = append(bad, []any{f.against(s.Items)})
		}
	}
	return pick(f.dice, bad)
}

// textsAgainst returns texts that the schema forbids.
func textsAgainst(s *schema) (bad []any) {
	bad = append(bad, "a\x00b", "a\x1bb")
	if s.MaxLength != nil {
		bad = append(bad, strings.Repeat("x", *s.MaxLength+1), strings.Repeat("é", *s.MaxLength+1))
	}
	if s.MinLength != nil && *s.MinLength > 0 {
		bad = append(bad, "")
	}
	if len(s.Enum) > 0 {
		bad = append(bad, "bogus", fmt.Sprint(s.Enum[0])+" ", strings.ToLower(fmt.Sprint(s.Enum[0]))+"x")
	}
	if s.Format == "date-time" {
		bad = append(
			bad, "yesterday", "2027-01-31", "2027-02-30T00:00:00Z", "2027-01-31T18:30:00",
			"9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00Z", "2027-01-31T25:00:00Z",
		)
	}
	return bad
}

// queryAgainst returns an encoded text that a parameter's schema forbids.
func (f *fuzzer) queryAgainst(s *schema) string {
	s = f.doc.resolve(s)
	bad := []string{"%ff", "%00", "a%1b", "%ed%a0%80"}
	switch s.kind() {
	case "string":
		if s.MaxLength != nil {
			bad = append(bad, strings.Repeat("x", *s.MaxLength+1))
		}
		if len(s.Enum) > 0 {
			bad = append(bad, "bogus", "")
		}
		if s.Format == "date-time" {
			bad = append(bad, "", "yesterday", "2027-01-31", "2027-01-31T18:30:00+01:00", "0001-01-01T00:00:00Z")
		}
	case "boolean":
		bad = append(bad, "", "yes", "1", "null", "truee")
	case "integer", "number":
		bad = append(
			bad, "", "x", "1e999", "0x10", "+1", "1_000", "%20", "%201", "01", "1.", ".5", "NaN", "--1",
			"99999999999999999999", "%D9%A1", "1,5",
		)
		if s.Minimum != nil {
			bad = append(bad, strconv.FormatInt(int64(*s.Minimum)-1, 10))
		}
		if s.Maximum != nil {
			bad = append(bad, strconv.FormatInt(int64(*s.Maximum)+1, 10))
		}
		if s.kind() == "integer" {
			bad = append(bad, "1.5", "1e1")
		}
	case "array":
		bad = append(bad, "bogus", "a,,b", ",")
	}
	return pick(f.dice, bad)
}

// queryValid returns an encoded text for a parameter.
func (f *fuzzer) queryValid(r *request, p parameter) string {
	s := f.doc.resolve(p.Schema)
	if s.kind() == "array" {
		var words []string
		for range 1 + f.IntN(3) {
			words = append(words, fmt.Sprint(f.valid(r, s.Items, "")))
		}
		return url.QueryEscape(strings.Join(words, ","))
	}
	return url.QueryEscape(fmt.Sprint(f.valid(r, s, p.Name)))
}
