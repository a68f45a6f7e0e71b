// Command billetd is the Billet server and its operator's command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/billetcloud/billet/internal/provider/sim/node"
	_ "golang.org/x/crypto/x509roots/fallback" // root certificates for systems without them, such as empty containers
)

func main() {
	// A simulated machine runs this program in its own namespaces.
	if len(os.Args) > 1 && os.Args[1] == node.InitArg {
		node.Main()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills the process at once
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "billetd:", err)
		os.Exit(1)
	}
}
