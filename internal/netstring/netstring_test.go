package netstring_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/netstring"
)

func TestFieldsHaveTheirLengthInFront(t *testing.T) {
	t.Parallel()
	n, at := int64(-7), time.UnixMicro(1_000_001)
	b := netstring.Text(nil, "é")
	b = netstring.Text(b, "")
	b = netstring.Number(b, 0)
	b = netstring.NumberOrNull(b, &n)
	b = netstring.TimeOrNull(b, &at)
	b = netstring.TextOrNull(b, "x")
	b = netstring.TextOrNull(b, "")
	b = netstring.NumberOrNull(b, nil)
	b = netstring.TimeOrNull(b, nil)
	if want := "2:é,0:,1:0,2:-7,7:1000001,1:x,-,-,-,"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}
