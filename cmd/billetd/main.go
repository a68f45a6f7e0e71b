// Command billetd is the Billet server, and the operator's verbs beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/billetcloud/billet/internal/provider/sim/node"
	_ "golang.org/x/crypto/x509roots/fallback" // clouds are asked over TLS also where the system has no certificates, as in an empty container
)

func main() {
	// A simulated machine is this program again, in namespaces of its own.
	if len(os.Args) > 1 && os.Args[1] == node.InitArg {
		node.Main()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once who will not wait for the first
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "billetd:", err)
		os.Exit(1)
	}
}
