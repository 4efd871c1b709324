// nsfwd LISTEN NETNS TARGET listens in the network namespace it is started in and dials in another one: a TCP forwarder
// that needs no veth pair, no address and no route between the two. TARGET must be a numeric address, because a resolver
// would run on another thread, which lives in the wrong namespace.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const dialTimeout = 5 * time.Second

type dialed struct {
	conn net.Conn
	err  error
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: nsfwd LISTEN NETNS TARGET (for example: nsfwd 127.0.0.1:16443 /run/netns/node 127.0.0.1:6443)")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(listen, namespace, target string) error {
	if _, err := netip.ParseAddrPort(target); err != nil {
		return fmt.Errorf("target %q is not a numeric address with a port: %w", target, err)
	}
	// The namespace is opened before the port is taken: whoever finds the port open can rely on the other end.
	requests, err := dialerIn(namespace, target)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			if temporary(err) {
				log.Printf("accept: %v", err)
				time.Sleep(50 * time.Millisecond)
				continue
			}
			return err
		}
		go serve(client, requests)
	}
}

// dialerIn starts the one locked thread that lives in the other namespace and opens every outgoing socket.
func dialerIn(namespace, target string) (chan<- chan dialed, error) {
	requests := make(chan chan dialed)
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not fit for any other goroutine
		fd, err := unix.Open(namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			ready <- fmt.Errorf("open %s: %w", namespace, err)
			return
		}
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		unix.Close(fd)
		if err != nil {
			ready <- fmt.Errorf("enter %s: %w", namespace, err)
			return
		}
		ready <- nil
		for reply := range requests {
			conn, err := net.DialTimeout("tcp", target, dialTimeout)
			reply <- dialed{conn, err}
		}
	}()
	return requests, <-ready
}

func serve(client net.Conn, requests chan<- chan dialed) {
	defer client.Close()
	reply := make(chan dialed)
	requests <- reply
	answer := <-reply
	if answer.err != nil {
		log.Printf("dial: %v", answer.err)
		return
	}
	server := answer.conn
	defer server.Close()
	done := make(chan struct{})
	go func() {
		pipe(server, client)
		close(done)
	}()
	pipe(client, server)
	<-done
}

// pipe copies one direction and passes the end of the stream on, so a half-closed connection stays half-open.
func pipe(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil && !errors.Is(err, net.ErrClosed) {
		to.Close()
		return
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func temporary(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ECONNABORTED)
}
