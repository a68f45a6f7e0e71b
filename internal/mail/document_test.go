package mail_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/mail"
)

// TestKindsAreDocumented checks that the table of docs/mail.md has each kind once, and says rightly
// whether members can switch it off.
func TestKindsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/mail.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| Kind | To | Can be switched off |\n")
	if !found {
		t.Fatal("docs/mail.md has no table of the kinds")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[mail.Kind]string{}
	code := regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			t.Fatalf("docs/mail.md: %q does not have three cells", line)
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			if _, twice := documented[mail.Kind(m[1])]; twice {
				t.Errorf("docs/mail.md has %s twice", m[1])
			}
			documented[mail.Kind(m[1])] = strings.TrimSpace(cells[3])
		}
	}
	optional := map[mail.Kind]bool{}
	for _, s := range mail.Switches(nil) {
		optional[s.Kind] = s.CanSwitchOff
	}
	for _, k := range mail.Kind("").Enum() {
		want := "no"
		if optional[k] {
			want = "yes"
		}
		if got := documented[k]; got != want {
			t.Errorf("docs/mail.md: %s can be switched off: %q, want %q", k, got, want)
		}
		delete(documented, k)
	}
	for k := range documented {
		t.Errorf("docs/mail.md has %s, which is no kind", k)
	}
}
