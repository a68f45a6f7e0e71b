package apierr_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"gpuCount", "gpuType", "region", "name"}
	for given, want := range map[string]string{
		"gpuCuont": "gpuCount", "GPU_TYPE": "gpuType", "reigon": "region", "nmae": "name", "regionn": "region",
		"zzz": "", "": "", "n": "", strings.Repeat("x", 9999): "",
	} {
		if got := apierr.Nearest(given, known); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", given, got, want)
		}
	}
}
