//go:build amd64 && !purego

#include "textflag.h"

// func skipString(s []byte) (n int, backslashes uint64)
//
// 32 bytes at a time. Masks have a bit for each byte, the first byte's is the lowest.
// Only SSE2 is used, which every amd64 has.
TEXT ·skipString(SB), NOSPLIT, $0-40
	MOVQ s_base+0(FP), SI
	MOVQ s_len+8(FP), AX
	XORQ R8, R8 // 1 if the first byte of the block is escaped
	XORQ R9, R9 // backslashes of any block

	MOVQ       $0x2222222222222222, DX // quote
	MOVQ       DX, X8
	PUNPCKLQDQ X8, X8
	MOVQ       $0x5c5c5c5c5c5c5c5c, DX // backslash
	MOVQ       DX, X9
	PUNPCKLQDQ X9, X9
	MOVQ       $0x2020202020202020, DX // the first byte that is no control character
	MOVQ       DX, X10
	PUNPCKLQDQ X10, X10
	MOVQ       $0x6e6e6e6e6e6e6e6e, DX // n
	MOVQ       DX, X11
	PUNPCKLQDQ X11, X11
	MOVQ       $0x7474747474747474, DX // t
	MOVQ       DX, X12
	PUNPCKLQDQ X12, X12
	MOVQ       $0x7272727272727272, DX // r
	MOVQ       DX, X13
	PUNPCKLQDQ X13, X13

block:
	SUBQ $32, AX
	JLT  done

	MOVOU (SI), X0
	MOVOU 16(SI), X1

	// R10: quotes
	MOVO     X0, X2
	PCMPEQB  X8, X2
	PMOVMSKB X2, R10
	MOVO     X1, X3
	PCMPEQB  X8, X3
	PMOVMSKB X3, BX
	SHLQ     $16, BX
	ORQ      BX, R10

	// R11: backslashes
	MOVO     X0, X4
	PCMPEQB  X9, X4
	PMOVMSKB X4, R11
	MOVO     X1, X5
	PCMPEQB  X9, X5
	PMOVMSKB X5, BX
	SHLQ     $16, BX
	ORQ      BX, R11

	// R12: control characters and what is not ASCII, which is negative
	MOVO     X10, X6
	PCMPGTB  X0, X6
	PMOVMSKB X6, R12
	MOVO     X10, X7
	PCMPGTB  X1, X7
	PMOVMSKB X7, BX
	SHLQ     $16, BX
	ORQ      BX, R12

	MOVQ R11, BX
	ORQ  R8, BX
	JNZ  escapes

	ORQ  R10, R12
	JNZ  plainStop
	ADDQ $32, SI
	JMP  block

plainStop:
	BSFQ R12, BX
	ADDQ BX, SI
	JMP  out

escapes:
	// DX: bytes that may be escaped: quote, backslash, n, t, r
	POR      X4, X2
	POR      X5, X3
	MOVO     X11, X4
	PCMPEQB  X0, X4
	POR      X4, X2
	MOVO     X11, X5
	PCMPEQB  X1, X5
	POR      X5, X3
	MOVO     X12, X4
	PCMPEQB  X0, X4
	POR      X4, X2
	MOVO     X12, X5
	PCMPEQB  X1, X5
	POR      X5, X3
	PCMPEQB  X13, X0
	POR      X0, X2
	PCMPEQB  X13, X1
	POR      X1, X3
	PMOVMSKB X2, DX
	PMOVMSKB X3, BX
	SHLQ     $16, BX
	ORQ      BX, DX

	// DI: escaped bytes. In a row of backslashes every second escapes; the
	// subtraction carries the place where a row began to its end.
	MOVQ R8, DI
	NOTQ DI
	ANDQ R11, DI
	LEAQ (DI)(DI*1), BX
	MOVQ $0xaaaaaaaaaaaaaaaa, R13
	ORQ  R13, BX
	SUBQ DI, BX
	XORQ R13, BX
	MOVQ R11, DI
	ORQ  R8, DI
	XORQ BX, DI
	MOVL DI, DI
	ANDQ R11, BX
	SHRQ $31, BX // the last byte escapes the first of the next block

	// R12: where to stop
	MOVQ DI, R13
	NOTQ R13
	ANDQ R13, R10
	ORQ  R10, R12
	NOTQ DX
	ANDQ DI, DX
	ORQ  DX, R12
	JNZ  escapedStop

	ORQ  R11, R9
	MOVQ BX, R8
	ADDQ $32, SI
	JMP  block

escapedStop:
	BSFQ R12, CX
	MOVQ $1, DX
	SHLQ CX, DX
	DECQ DX
	ANDQ DX, R11
	ORQ  R11, R9

	// An escape is looked at from its backslash on.
	BTQ  CX, DI
	SBBQ $0, CX
	ADDQ CX, SI
	JMP  out

done:
	SUBQ R8, SI

out:
	SUBQ s_base+0(FP), SI
	MOVQ SI, n+24(FP)
	MOVQ R9, backslashes+32(FP)
	RET
