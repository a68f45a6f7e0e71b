package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// host runs the machines: as real ones (nodes), or as bare listeners (banners). A machine is known
// by its folder. stop, wipe, remove and detach of what is not there are success.
type host interface {
	start(ctx context.Context, spec node.Spec) (node.Endpoint, error)
	running(dir string) (node.Endpoint, bool)
	stop(ctx context.Context, dir string) error
	wipe(ctx context.Context, dir string) error
	remove(ctx context.Context, dir string) error
	attach(ctx context.Context, dir, name, files string) error
	detach(ctx context.Context, dir, name string) error
	// close lets go of the machines. Real ones go on running.
	close()
}

// nodes are real machines: processes with an SSH server, which outlive this one.
type nodes struct {
	unisolated bool // accept machines that are not isolated
}

func (n nodes) start(ctx context.Context, spec node.Spec) (node.Endpoint, error) {
	spec.Unisolated = n.unisolated
	return node.Start(ctx, spec)
}
func (nodes) running(dir string) (node.Endpoint, bool)     { return node.Running(dir) }
func (nodes) stop(ctx context.Context, dir string) error   { return node.Stop(ctx, dir) }
func (nodes) wipe(ctx context.Context, dir string) error   { return node.Wipe(ctx, dir) }
func (nodes) remove(ctx context.Context, dir string) error { return node.Remove(ctx, dir) }
func (nodes) close()                                       {}
func (nodes) attach(ctx context.Context, dir, name, files string) error {
	return node.AttachVolume(ctx, dir, name, files)
}
func (nodes) detach(ctx context.Context, dir, name string) error {
	if err := node.DetachVolume(ctx, dir, name); !errors.Is(err, node.ErrNotRunning) {
		return err
	}
	return nil
}

// bannerPort is where a banner listens where it can.
const bannerPort = 2222

// banners are listeners in this process that send the first line of an SSH server and nothing else.
// They cost no process and no files, so that a test can have thousands.
type banners struct {
	mu        sync.Mutex
	listeners map[string]net.Listener
	serving   sync.WaitGroup
}

func newBanners() *banners { return &banners{listeners: map[string]net.Listener{}} }

func (b *banners) start(_ context.Context, spec node.Spec) (node.Endpoint, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners == nil {
		return node.Endpoint{}, net.ErrClosed
	}
	if l, ok := b.listeners[spec.Dir]; ok {
		return bannerEndpoint(l), nil
	}
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(spec.Address, bannerPort)))
	if isUnassignable(err) {
		// This system has 127.0.0.1 alone.
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	if err != nil {
		return node.Endpoint{}, err
	}
	b.listeners[spec.Dir] = l
	b.serving.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(time.Millisecond) // out of file descriptors: the next moment may bring one
				continue
			}
			b.serving.Go(func() { greet(c) })
		}
	})
	return bannerEndpoint(l), nil
}

// greet sends the line and waits for the other side to go: closing at once could take the line from
// a client that has sent its own.
func greet(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("SSH-2.0-Billet_simulated_banner\r\n"))
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
}

func bannerEndpoint(l net.Listener) node.Endpoint {
	return node.Endpoint{Address: l.Addr().(*net.TCPAddr).AddrPort()}
}

func (b *banners) running(dir string) (node.Endpoint, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.listeners[dir]
	if !ok {
		return node.Endpoint{}, false
	}
	return bannerEndpoint(l), true
}

func (b *banners) stop(_ context.Context, dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.listeners[dir]
	if !ok {
		return nil
	}
	delete(b.listeners, dir)
	return l.Close()
}

func (b *banners) wipe(_ context.Context, dir string) error {
	if _, ok := b.running(dir); ok {
		return fmt.Errorf("wipe %s: %w", dir, node.ErrRunning)
	}
	return nil
}

func (b *banners) remove(ctx context.Context, dir string) error       { return b.stop(ctx, dir) }
func (*banners) attach(context.Context, string, string, string) error { return nil }
func (*banners) detach(context.Context, string, string) error         { return nil }

func (b *banners) close() {
	b.mu.Lock()
	for _, l := range b.listeners {
		_ = l.Close()
	}
	b.listeners = nil
	b.mu.Unlock()
	b.serving.Wait()
}
