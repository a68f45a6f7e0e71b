package sftpserver

import "golang.org/x/sys/unix"

func statvfsOf(st *unix.Statfs_t) fileSystemInfo {
	v := fileSystemInfo{
		blockSize: uint64(st.Bsize), fragmentSize: uint64(st.Bsize), blocks: st.Blocks, free: st.Bfree,
		available: st.Bavail,
		files:     st.Files, filesFree: st.Ffree, nameMax: 255,
		id: uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32,
	}
	if st.Flags&unix.MNT_RDONLY != 0 {
		v.flags |= readOnlyFlag
	}
	if st.Flags&unix.MNT_NOSUID != 0 {
		v.flags |= noSUIDFlag
	}
	return v
}
