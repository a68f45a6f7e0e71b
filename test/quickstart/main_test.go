package quickstart_test

import (
	"os"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

func TestMain(m *testing.M) { os.Exit(servertest.Run(m)) }
