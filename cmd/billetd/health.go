package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

// healthTime is how long the server may take to say that it is well.
const healthTime = 5 * time.Second

// health is for who watches over the server and has no shell and no curl, as in a container that holds nothing else.
func health() *cobra.Command {
	var listen string
	var ready bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the server on this machine whether it is well",
		Long:  "Ask the server that was started with the same --listen whether it is alive: it fails where no answer comes, or another one.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return ask(cmd.Context(), listen, path)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", app.Default().Listen, "address of the API")
	cmd.Flags().BoolVar(&ready, "ready", false, "also ask whether it can serve: the database answers, and a provider has")
	return cmd
}

func ask(ctx context.Context, listen, path string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	switch ip, err := netip.ParseAddr(host); { // no names: where nothing else is, nobody knows what localhost is
	case host == "", err == nil && ip == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case err == nil && ip == netip.IPv6Unspecified():
		host = "::1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy: it is on this machine
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// tellReady tells the service manager that the server answers, where one started it and waits to be told (systemd's Type=notify). Whoever
// starts the service then hears at once why it did not come up.
func tellReady(ctx context.Context, log *slog.Logger) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte("READY=1"))
		_ = c.Close()
	}
	if err != nil {
		log.WarnContext(ctx, "the service manager could not be told that the server is ready", "error", err)
	}
}
