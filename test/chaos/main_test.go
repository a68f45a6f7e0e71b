package chaos_test

import (
	"flag"
	"os"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

var (
	rounds = flag.Int("rounds", 0, "number of faults; 0 is each kind once")
	seed   = flag.Uint64("seed", 0, "seed of all decisions; 0 draws one")
)

func TestMain(m *testing.M) { os.Exit(servertest.Run(m)) }
