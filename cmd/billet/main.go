// Command billet is the tenant's command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/billetcloud/billet/internal/cli"
)

// release is set by the linker.
var release = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once who will not wait for the first
	code := cli.Main(ctx, cli.System{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ(), Version: release}, os.Args[1:])
	os.Exit(code)
}
