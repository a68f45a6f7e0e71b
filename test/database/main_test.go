package database

import (
	"os"
	"testing"

	"github.com/billetcloud/billet/test/billetd"
)

func TestMain(m *testing.M) { os.Exit(billetd.Run(m)) }
