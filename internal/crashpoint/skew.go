package crashpoint

import (
	"fmt"
	"os"
	"time"
)

// SkewVariable is the environment variable that makes this process misread its machine's clock by
// that much: "130s" for a machine whose clock is ahead.
const SkewVariable = "BILLET_CRASH_CLOCK_SKEW"

var skew = func() time.Duration {
	d, err := parseSkew(os.Getenv(SkewVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return d
}()

func parseSkew(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s: %q must be a duration such as 130s or -2m", SkewVariable, s)
	}
	return d, nil
}

// Now reads this machine's clock, with a monotonic reading.
func Now() time.Time { return time.Now().Add(skew) }

// Skew returns by how much Now is wrong on purpose.
func Skew() time.Duration { return skew }
