package upstream_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

func TestWarnOnce_Warn(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var once upstream.WarnOnce
	for range 3 {
		once.Warn(t.Context(), log, "strange", "word", "a", "of", "machines")
		once.Warn(t.Context(), log, "strange", "word", "a", "of", "volumes")
		once.Warn(t.Context(), log, "odd", "word", "a", "of", "machines")
	}
	if n := strings.Count(out.String(), "level=WARN"); n != 3 {
		t.Errorf("logged %d times:\n%s", n, &out)
	}
	out.Reset()
	for i := range 5000 {
		once.Warn(t.Context(), log, "strange", "word", fmt.Sprint(i))
	}
	if n := strings.Count(out.String(), "\n"); n != 997 {
		t.Errorf("%d different words are logged", n)
	}
}
