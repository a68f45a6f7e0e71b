package sftpserver

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const maxLinks = 32

// canonical returns the absolute path without links, dots and double slashes. The last element need
// not exist.
func canonical(path string) (string, error) {
	resolved := ""
	if !strings.HasPrefix(path, "/") {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		resolved = strings.TrimSuffix(wd, "/")
	}
	links := 0
	for left := strings.TrimLeft(path, "/"); left != ""; {
		var element string
		var more bool
		element, left, more = strings.Cut(left, "/")
		switch element {
		case "", ".":
			continue
		case "..":
			resolved = resolved[:max(strings.LastIndexByte(resolved, '/'), 0)]
			continue
		}
		next := resolved + "/" + element
		var st unix.Stat_t
		if err := unix.Lstat(next, &st); err != nil {
			if errors.Is(err, unix.ENOENT) && !more {
				return next, nil
			}
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			resolved = next
			continue
		}
		if links++; links > maxLinks {
			return "", unix.ELOOP
		}
		b := make([]byte, unix.PathMax)
		n, err := unix.Readlink(next, b)
		if err != nil {
			return "", err
		}
		target := string(b[:n])
		if strings.HasPrefix(target, "/") {
			resolved = ""
		}
		if more {
			target += "/" + left
		}
		left = strings.TrimLeft(target, "/")
	}
	if resolved == "" {
		return "/", nil
	}
	return resolved, nil
}

func (s *server) realpath(id uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	if path == "" {
		path = "."
	}
	path, err := canonical(path)
	if err != nil {
		return nil, err
	}
	return nameReply(id, path), nil
}

// longName is the line that `ls -l` would print.
func longName(name string, st *unix.Stat_t) string {
	when := time.Unix(st.Mtim.Sec, int64(st.Mtim.Nsec))
	form := "Jan _2 15:04"
	if now := time.Now(); when.After(now) || when.Before(now.Add(-365*24*time.Hour/2)) {
		form = "Jan _2  2006"
	}
	return fmt.Sprintf("%s %3d %-8s %-8s %8d %s %s", modeText(uint32(st.Mode)), st.Nlink, userName(st.Uid),
		groupName(st.Gid),
		st.Size, when.Format(form), name)
}

// userName is the name of a user's id, or the id where there is none.
func userName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}

func groupName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if g, err := user.LookupGroupId(text); err == nil {
		return g.Name
	}
	return text
}

// modeText writes a mode as `ls -l` does, with its type.
func modeText(mode uint32) string {
	kinds := map[uint32]byte{
		unix.S_IFDIR: 'd', unix.S_IFCHR: 'c', unix.S_IFBLK: 'b', unix.S_IFREG: '-', unix.S_IFLNK: 'l',
		unix.S_IFSOCK: 's', unix.S_IFIFO: 'p',
	}
	text := []byte("?rwxrwxrwx ")
	if kind, ok := kinds[mode&unix.S_IFMT]; ok {
		text[0] = kind
	}
	for i := range 9 {
		if mode&(1<<(8-i)) == 0 {
			text[i+1] = '-'
		}
	}
	for _, special := range []struct {
		bit   uint32
		at    int
		set   byte
		clear byte
	}{{unix.S_ISUID, 3, 's', 'S'}, {unix.S_ISGID, 6, 's', 'S'}, {unix.S_ISVTX, 9, 't', 'T'}} {
		if mode&special.bit == 0 {
			continue
		}
		if text[special.at] == 'x' {
			text[special.at] = special.set
		} else {
			text[special.at] = special.clear
		}
	}
	return string(text)
}
