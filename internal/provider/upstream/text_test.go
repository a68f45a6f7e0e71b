package upstream

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

func TestDollars_UnmarshalJSON(t *testing.T) {
	for text, want := range map[string]money.Micros{
		`2.49`: 2_490_000, `"15.120000"`: 15_120_000, `"1.99"`: 1_990_000, `0.0000005`: 1, `0.0000004`: 0,
		`17.9`: 17_900_000, `1e2`: 100_000_000,
		`1.5e-3`: 1_500, `" 3 "`: 3_000_000, `-0.0000005`: 0, `-1`: -1_000_000, `0.000109`: 109,
		`1.0000004999999999999999`: 1_000_000, `2.7800000000000002`: 2_780_000,
	} {
		var d Dollars
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.Amount != want || !d.Known {
			t.Errorf("%s is %d (%v), %v; want %d", text, d.Amount, d.Known, err, want)
		}
	}
	var c Cents
	if err := json.Unmarshal([]byte(`249`), &c); err != nil || c.Amount != 2_490_000 {
		t.Errorf("249 cents are %d, %v", c.Amount, err)
	}
	for _, text := range []string{`null`, `""`} {
		var d Dollars
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.Known {
			t.Errorf("%s is known, %v", text, err)
		}
	}
	for _, text := range []string{
		`"free"`, `"1,5"`, `"1e999"`, `"0x10"`, `"1/3"`, `"NaN"`, `"Inf"`, `{}`, `[1]`, `true`, `999999999999999`,
		`"1e99"`, `"` + strings.Repeat("9", 30) + `"`,
	} {
		var d Dollars
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %s", text, d.Amount)
		}
	}
}

func TestParseMark(t *testing.T) {
	reference := id.ID("dep_01jd2x3y4z5a6b7c8d9e0f1g2h")
	if m := Mark(reference); m != "dep-01jd2x3y4z5a6b7c8d9e0f1g2h" || ParseMark(id.Deployment, m) != reference {
		t.Errorf("%s is parsed as %q", m, ParseMark(id.Deployment, m))
	}
	for _, text := range []string{
		"", "dep-", "dep_01jd", "my-machine", "vol-01jd", "dep-01JD", "dep-a b", "dep-a-b",
		"dep-" + strings.Repeat("a", 40),
	} {
		if got := ParseMark(id.Deployment, text); got != "" {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestKeyName(t *testing.T) {
	a, b := KeyName("ssh-ed25519 AAAA ada@laptop"), KeyName("ssh-ed25519 AAAA")
	if a != b || len(a) != 39 || a == KeyName("ssh-ed25519 AAAB") {
		t.Errorf("%s and %s", a, b)
	}
}

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{
		"US, Dallas 1": "us-dallas-1", "FIN-01": "fin-01", "--": "", "": "", "Zürich": "z-rich",
		strings.Repeat("a", 63) + "-b": strings.Repeat("a", 63),
	} {
		if got := Slug(text); got != want {
			t.Errorf("Slug(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCleanText(t *testing.T) {
	for text, want := range map[string]string{
		" NVIDIA H100 ": "NVIDIA H100", "a\nb": "a b", "\x00": "", "x\xff": "x", "\u0085x": "x",
		strings.Repeat("a", 128): strings.Repeat("a", 128), strings.Repeat("a", 129): "",
	} {
		if got := CleanText(text); got != want {
			t.Errorf("CleanText(%q) = %q, want %q", text, got, want)
		}
	}
}
