package upstream_test

import (
	"context"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// reading is a list whose pages come in order, whatever number is requested: "count: entries".
type reading []struct {
	total  int
	things string
}

func TestPages_All(t *testing.T) {
	failed := &provider.Error{Kind: provider.KindThrottled}
	missing := &provider.Error{Kind: provider.KindNotFound}
	for name, c := range map[string]struct {
		pages reading
		fails error // after the pages
		want  string
		of    int
		kind  provider.Kind
	}{
		"none":                        {reading{{0, ""}}, nil, "", 1, ""},
		"one page":                    {reading{{2, "a b"}}, nil, "a b", 1, ""},
		"three, of which two overlap": {reading{{4, "a b"}, {4, "b c"}, {4, "d"}}, nil, "a b c d", 3, ""},
		"one more, meanwhile":         {reading{{3, "a b"}, {4, "c d"}, {4, "a b"}}, nil, "a b c d", 2, ""},
		"one slips back meanwhile":    {reading{{5, "a b"}, {4, "d e"}, {4, "b c"}}, nil, "a b d e c", 2, ""},
		"one gone between two pages":  {reading{{3, "a b"}, {2, ""}, {2, "a b"}}, nil, "a b", 2, ""},
		"one is missing, then there":  {reading{{3, "a b"}, {3, ""}, {3, "a b"}, {3, "c"}}, nil, "a b c", 2, ""},
		"uncounted":                   {reading{{-1, "a b"}, {-7, "c"}, {-1, "c"}}, nil, "a b c", 3, ""},
		"counted no more":             {reading{{3, "a b"}, {-1, "c"}, {-1, ""}}, nil, "a b c", 3, ""},
		"always one is missing": {reading{
			{2, "a"}, {2, ""}, {2, "a"}, {2, ""}, {2, "a"}, {2, ""},
		}, nil, "", 0, provider.KindUnavailable},
		"without an id": {reading{{2, "a ?"}}, nil, "", 0, provider.KindUnavailable},
		"no end": {reading{
			{9, "a"}, {9, "b"}, {9, "c"}, {9, "d"},
		}, nil, "", 0, provider.KindUnavailable},
		"a page that fails":        {reading{{3, "a b"}}, failed, "", 0, provider.KindThrottled},
		"a page that is not there": {reading{{3, "a b"}}, missing, "", 0, provider.KindUnavailable},
	} {
		asked, number := 0, 0
		p := upstream.Pages[string]{
			What: "GET /things", Most: 4, Key: func(s string) string { return strings.Trim(s, "?") },
			Page: func(_ context.Context, n int) ([]string, int, error) {
				if n != 1 && n != number+1 && n != number-1 {
					t.Errorf("%s: page %d after %d", name, n, number)
				}
				if number = n; asked >= len(c.pages) {
					return nil, 0, c.fails
				}
				page := c.pages[asked]
				asked++
				return strings.Fields(page.things), page.total, nil
			},
		}
		list, of, err := p.All(t.Context())
		if got := strings.Join(list, " "); got != c.want || of != c.of || (err != nil) != (c.kind != "") ||
			err != nil && provider.KindOf(err) != c.kind || asked != len(c.pages) {
			t.Errorf("%s: %q of %d pages, %v, after %d of %d", name, got, of, err, asked, len(c.pages))
		}
	}
}
