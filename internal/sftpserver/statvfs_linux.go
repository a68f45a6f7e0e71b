package sftpserver

import "golang.org/x/sys/unix"

func statvfsOf(st *unix.Statfs_t) fileSystemInfo {
	v := fileSystemInfo{
		blockSize: uint64(st.Bsize), fragmentSize: uint64(st.Frsize), blocks: st.Blocks, free: st.Bfree,
		available: st.Bavail,
		files:     st.Files, filesFree: st.Ffree, nameMax: uint64(st.Namelen),
		id: uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32,
	}
	if v.fragmentSize == 0 {
		v.fragmentSize = v.blockSize
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		v.flags |= readOnlyFlag
	}
	if st.Flags&unix.ST_NOSUID != 0 {
		v.flags |= noSUIDFlag
	}
	return v
}
