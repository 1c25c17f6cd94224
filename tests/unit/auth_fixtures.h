/* Made by auth_fixtures.py; times are 1700000000 (nbf) and 2000000000 (exp) */
#pragma once

/* clang-format off */

#define FIXTURE_SECRET \
        "a secret of more than thirty-two bytes"

#define FIXTURE_ISSUER \
        "https://issuer.example"

#define FIXTURE_AUDIENCE \
        "parley"

#define FIXTURE_JWKS \
        "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"uA-hW-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxjNaPw529z7ciftv4" \
        "UVGuS-Ylz27xPgLtJR0mweZkvh_Mw4bLSJrIaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s9vyKmBjlh2W9Vyi" \
        "b2kMg2ENIdzTxKMDZJFNWYfD_rt14UHXzD5xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtOSPRhccf99wgloux" \
        "huIcDYWJXq1tExi6fZovI1Ccb76RiDI_k77VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHTTcMDY9gAwS2oUW9" \
        "63-uJhoSMylLQ\", \"e\": \"AQAB\", \"kid\": \"encryption\", \"use\": \"enc\"}, {\"kty\": \"RSA\", \"n\": \"uA-h" \
        "W-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxjNaPw529z7ciftv4UVGuS-Ylz27xPgLtJR0mweZkvh_Mw4bLSJr" \
        "IaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s9vyKmBjlh2W9Vyib2kMg2ENIdzTxKMDZJFNWYfD_rt14UHXzD5" \
        "xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtOSPRhccf99wglouxhuIcDYWJXq1tExi6fZovI1Ccb76RiDI_k77" \
        "VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHTTcMDY9gAwS2oUW963-uJhoSMylLQ\", \"e\": \"AQAB\", \"kid\":" \
        " \"pss\", \"alg\": \"PS256\"}, {\"kty\": \"RSA\", \"n\": \"uA-hW-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxj" \
        "NaPw529z7ciftv4UVGuS-Ylz27xPgLtJR0mweZkvh_Mw4bLSJrIaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s" \
        "9vyKmBjlh2W9Vyib2kMg2ENIdzTxKMDZJFNWYfD_rt14UHXzD5xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtO" \
        "SPRhccf99wglouxhuIcDYWJXq1tExi6fZovI1Ccb76RiDI_k77VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHT" \
        "TcMDY9gAwS2oUW963-uJhoSMylLQ\", \"e\": \"AQAB\", \"kid\": \"wraps\", \"key_ops\": [\"wrapKey\"]}, {\"kty" \
        "\": \"EC\", \"crv\": \"P-384\", \"x\": \"BcczyXt4ltQcEw4HLkjfGuJE9gLovJOYeavlR0HupMUK_VszWoifl3oNFTI" \
        "GhRCW\", \"y\": \"cMAqf6cDc0X2cKIcjBNv9OBmpxkdMibfUZSndHCAx1fg09NzNqlUsD88FPNbSIcA\", \"kid\": \"p" \
        "384\"}, {\"kty\": \"OKP\", \"crv\": \"X25519\", \"kid\": \"x25519\", \"x\": \"ilJXxhgFfhEtq1_WEi64Yh5onkzq" \
        "VcXWop0SMUH6VBE\"}, {\"kty\": \"oct\", \"kid\": \"symmetric\", \"k\": \"YSBzZWNyZXQgb2YgbW9yZSB0aGFuIH" \
        "RoaXJ0eS10d28gYnl0ZXM\"}, {\"kty\": \"AKP\", \"kid\": \"of the future\", \"pub\": \"AA\"}, {\"kty\": \"RSA" \
        "\", \"n\": \"r-4059jCaJGvhvefBAVH8yD29pqlR8Czwxt9EkR_lEPIfhbjYC71hwPDO4DV8x5XRPUk2coqnu-i_EMS9" \
        "BNfbxIA-RDenB4A64B9GJPd6bb90LHmTlLb2GeGAKEWPgRXr0SZlu3sjvVZLEVDumScz11jq_FJqlQwwVJJsVMmZuz" \
        "TSjCBHbmNLzoywmQkq5gWwSU1zr-LNFL0Q89arT2_3_80e2PKCp-ZJmr4hREzh0-97Dar7qjZvIixQz_S7566dgtJi" \
        "gqYnFqSFsX_3diF95GvQj4_M6ny2txzxT6cWFGf1jsyHaGNphhQKSiOyqTi6DxQ9D1-xf7k7eVzD1LwlQ\", \"e\": \"" \
        "AQAB\", \"kid\": \"rsa\", \"use\": \"sig\", \"alg\": \"RS256\"}, {\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"Cp" \
        "7AQopc5LtfvjJpwLfPzf4g5vktksuf4E8epQ3EJIo\", \"y\": \"XSr5qHIxE1Z-hHVCu-n_1QKSGlK_YqEwC1jFeMXG" \
        "H8U\", \"kid\": \"ec\", \"key_ops\": [\"verify\"]}, {\"x\": \"PZdB0R6qshYFz2P-NaGmDPGYbL7ZJiERH_OStvnk" \
        "jEU\", \"kty\": \"OKP\", \"crv\": \"Ed25519\", \"kid\": \"ed\"}]}"

#define FIXTURE_JWKS_RSA \
        "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"r-4059jCaJGvhvefBAVH8yD29pqlR8Czwxt9EkR_lEPIfhbjYC71hwPDO4D" \
        "V8x5XRPUk2coqnu-i_EMS9BNfbxIA-RDenB4A64B9GJPd6bb90LHmTlLb2GeGAKEWPgRXr0SZlu3sjvVZLEVDumScz" \
        "11jq_FJqlQwwVJJsVMmZuzTSjCBHbmNLzoywmQkq5gWwSU1zr-LNFL0Q89arT2_3_80e2PKCp-ZJmr4hREzh0-97Da" \
        "r7qjZvIixQz_S7566dgtJigqYnFqSFsX_3diF95GvQj4_M6ny2txzxT6cWFGf1jsyHaGNphhQKSiOyqTi6DxQ9D1-x" \
        "f7k7eVzD1LwlQ\", \"e\": \"AQAB\", \"kid\": \"rsa\", \"use\": \"sig\", \"alg\": \"RS256\"}]}"

#define FIXTURE_JWKS_OTHERS \
        "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"uA-hW-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxjNaPw529z7ciftv4" \
        "UVGuS-Ylz27xPgLtJR0mweZkvh_Mw4bLSJrIaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s9vyKmBjlh2W9Vyi" \
        "b2kMg2ENIdzTxKMDZJFNWYfD_rt14UHXzD5xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtOSPRhccf99wgloux" \
        "huIcDYWJXq1tExi6fZovI1Ccb76RiDI_k77VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHTTcMDY9gAwS2oUW9" \
        "63-uJhoSMylLQ\", \"e\": \"AQAB\", \"kid\": \"encryption\", \"use\": \"enc\"}, {\"kty\": \"RSA\", \"n\": \"uA-h" \
        "W-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxjNaPw529z7ciftv4UVGuS-Ylz27xPgLtJR0mweZkvh_Mw4bLSJr" \
        "IaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s9vyKmBjlh2W9Vyib2kMg2ENIdzTxKMDZJFNWYfD_rt14UHXzD5" \
        "xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtOSPRhccf99wglouxhuIcDYWJXq1tExi6fZovI1Ccb76RiDI_k77" \
        "VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHTTcMDY9gAwS2oUW963-uJhoSMylLQ\", \"e\": \"AQAB\", \"kid\":" \
        " \"pss\", \"alg\": \"PS256\"}, {\"kty\": \"RSA\", \"n\": \"uA-hW-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxj" \
        "NaPw529z7ciftv4UVGuS-Ylz27xPgLtJR0mweZkvh_Mw4bLSJrIaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s" \
        "9vyKmBjlh2W9Vyib2kMg2ENIdzTxKMDZJFNWYfD_rt14UHXzD5xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtO" \
        "SPRhccf99wglouxhuIcDYWJXq1tExi6fZovI1Ccb76RiDI_k77VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHT" \
        "TcMDY9gAwS2oUW963-uJhoSMylLQ\", \"e\": \"AQAB\", \"kid\": \"wraps\", \"key_ops\": [\"wrapKey\"]}, {\"kty" \
        "\": \"EC\", \"crv\": \"P-384\", \"x\": \"BcczyXt4ltQcEw4HLkjfGuJE9gLovJOYeavlR0HupMUK_VszWoifl3oNFTI" \
        "GhRCW\", \"y\": \"cMAqf6cDc0X2cKIcjBNv9OBmpxkdMibfUZSndHCAx1fg09NzNqlUsD88FPNbSIcA\", \"kid\": \"p" \
        "384\"}, {\"kty\": \"OKP\", \"crv\": \"X25519\", \"kid\": \"x25519\", \"x\": \"ilJXxhgFfhEtq1_WEi64Yh5onkzq" \
        "VcXWop0SMUH6VBE\"}, {\"kty\": \"oct\", \"kid\": \"symmetric\", \"k\": \"YSBzZWNyZXQgb2YgbW9yZSB0aGFuIH" \
        "RoaXJ0eS10d28gYnl0ZXM\"}, {\"kty\": \"AKP\", \"kid\": \"of the future\", \"pub\": \"AA\"}]}"

#define FIXTURE_JWKS_WEAK \
        "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"yG9eLxBcD18BgdGNzYXPCzeipzyRnI_188Pcm1e1vSnNo1MpLw0bUXpq7xH" \
        "t8-i-cXTvgvDSTyTcnIukG_iKDFX0EockH_Wn27fVBRiOwhY2597yBBaHyUWeD89fFRR9_xJL0SsaV1tQG6YD8z6pr" \
        "npYdsBMFjLKEEH9-QC4o5k\", \"e\": \"AQAB\", \"kid\": \"weak\"}]}"

#define FIXTURE_JWKS_PRIVATE \
        "{\"keys\": [{\"x\": \"PZdB0R6qshYFz2P-NaGmDPGYbL7ZJiERH_OStvnkjEU\", \"kty\": \"OKP\", \"crv\": \"Ed255" \
        "19\", \"kid\": \"ed\", \"d\": \"AA\"}]}"

#define FIXTURE_JWKS_OFF_CURVE \
        "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"Cp7AQopc5LtfvjJpwLfPzf4g5vktksuf4E8epQ3EJIo\"" \
        ", \"y\": \"XCr5qHIxE1Z-hHVCu-n_1QKSGlK_YqEwC1jFeMXGH8U\", \"kid\": \"ec\", \"key_ops\": [\"verify\"]}]" \
        "}"

#define FIXTURE_JWKS_TWO_RSA \
        "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"r-4059jCaJGvhvefBAVH8yD29pqlR8Czwxt9EkR_lEPIfhbjYC71hwPDO4D" \
        "V8x5XRPUk2coqnu-i_EMS9BNfbxIA-RDenB4A64B9GJPd6bb90LHmTlLb2GeGAKEWPgRXr0SZlu3sjvVZLEVDumScz" \
        "11jq_FJqlQwwVJJsVMmZuzTSjCBHbmNLzoywmQkq5gWwSU1zr-LNFL0Q89arT2_3_80e2PKCp-ZJmr4hREzh0-97Da" \
        "r7qjZvIixQz_S7566dgtJigqYnFqSFsX_3diF95GvQj4_M6ny2txzxT6cWFGf1jsyHaGNphhQKSiOyqTi6DxQ9D1-x" \
        "f7k7eVzD1LwlQ\", \"e\": \"AQAB\", \"kid\": \"rsa\", \"use\": \"sig\", \"alg\": \"RS256\"}, {\"kty\": \"RSA\", \"" \
        "n\": \"uA-hW-ANRL_gv4adMsReihR21lpJvgiPooXvtGji9sxjNaPw529z7ciftv4UVGuS-Ylz27xPgLtJR0mweZkvh" \
        "_Mw4bLSJrIaQaE_pe411zE_wEIgnS4maUFjx_Gtin_egpSv6s9vyKmBjlh2W9Vyib2kMg2ENIdzTxKMDZJFNWYfD_r" \
        "t14UHXzD5xY4szMpWqHIr1AcnbzvKANMPbvNDv2N2JAgdHQtOSPRhccf99wglouxhuIcDYWJXq1tExi6fZovI1Ccb7" \
        "6RiDI_k77VREiRa6eqfEtkVRfLrzNIRWWoDo4kHe4sVhYMaHTTcMDY9gAwS2oUW963-uJhoSMylLQ\", \"e\": \"AQAB" \
        "\", \"kid\": \"rsa2\"}]}"

#define FIXTURE_HS256 \
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoic" \
        "GFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoyMDA" \
        "wMDAwMDAwfQ.sp7CAYR02xqylKEfpMrSgEYvDmvzjHDH_tjsX5x1qSs"

#define FIXTURE_RS256 \
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtc" \
        "GxlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDA" \
        "wMCwiZXhwIjoyMDAwMDAwMDAwfQ.ghoEMBWkNbe7CkJlgrISQSzY0liOygot_E2QvXvN-LfnLgf34qzsR15XToP1lK" \
        "CJHUYVxHVvCNz1zDfKhbecoK7x_GGvOGVup1_3pv2XUk3DxlPkWIMd-OcFtFB8bhw3rOpnQw7bhsd6pG0zwIcxwcb8" \
        "U15ZIB4_yZ_UmLTkSespDORmePebkK6w9zXoZ5KoYuUfgdcl5ifo0ily2QpnwsD0cmHTKpbsuxjNOt1_Rb0G_zYcZx" \
        "ADQi_jUyHXmw0wi_dseuQ1Lbw_QGK1CAec2hkR7GjdOUpvoHSnfvOHBvQ_Tmp-W3badL_4X2kvPFH8MCDIrG0Ameb-" \
        "hU8S5jqKKg"

#define FIXTURE_ES256 \
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcG" \
        "xlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDAw" \
        "MCwiZXhwIjoyMDAwMDAwMDAwfQ.HU1pIHecVmLv67ZwQZ3ITtohr6PXuZgwizN6F12XRfivn_Bpnyt7jpNMfvSzXjL" \
        "ntwv1bY9A6vHoQnpDEzIvQA"

#define FIXTURE_EDDSA \
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcG" \
        "xlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDAw" \
        "MCwiZXhwIjoyMDAwMDAwMDAwfQ.vF2HC5Mfnw_-GzWmHgwuAzMpsBEdCV-3libF3N8IAWjFfJebHyC8uEKdpxpQSl7" \
        "K9be0eQBVCdH17mGMm-zVDA"

#define FIXTURE_RS256_NO_KID \
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoic" \
        "GFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoyMDA" \
        "wMDAwMDAwfQ.dkw5YYS8YXBkpvLY0R_Ame7irygAeIsPinB_Gp8XDauUmu3Bc6nBGSZqPKQfgPQuSkpp4WQcvhxS9E" \
        "4gLlcHLMonTvKBU-ktw4Eoz2HIabgflaU4bzNuFYCkAzY6OZM2ZMxyq3IYVZJy1jI_qhUPk2um3nkljhBpL3B0t2Ih" \
        "KeBwP2g0fRl5-9o1Qm17Zl0pfdkseSGHnEf7frhJQ4hmDb8BHQaM0llQu6kCDVE3tZwtrFQDny6i1CS2NXwRBTdh31" \
        "Cc5X6MsgPCcJqnM71cyxRg82WzM7Tg4WjgHKGXMt5Z8v3s37z83_pwujBn26CoIgNB_RdGr50G7Z1go4zqgw"

#define FIXTURE_RS256_UNKNOWN_KID \
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJvdGF0ZWQiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5" \
        "leGFtcGxlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwM" \
        "DAwMDAwMCwiZXhwIjoyMDAwMDAwMDAwfQ.BjP4o-FCNVV4W1f6xcPs0a_7JZvYBCidEUmr4HZ2X3eGdodR8ePjWAyi" \
        "6M-DxFVRyzJ526dVap7dFqtw_nv0bd1aFLc8rJ5LonZf3x_mMb52Wk-nWoCpHSRQr6Ua4VJmp6s_-ISEmlM60JMi6c" \
        "zVwweKoLpwtYmEYzgakXDjHJs51N1TXxjT5AXujh5CTpKx3twayfAqzlIEjhNN7xupRUpU4VIxWSmbEGh7fnVdAA0o" \
        "FbcK699rUbyhzSNPLWGWPh71T0nKbCrzuJ15sTv5EnZPICmaqbdapLahQoLd7L8lBlPbwkcGDsuhsPikal1l642mrz" \
        "VrNoEGy7985Ibn3A"

#define FIXTURE_RS256_OTHER_KEY \
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtc" \
        "GxlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDA" \
        "wMCwiZXhwIjoyMDAwMDAwMDAwfQ.HQbHK7PSPUWNzWNt_BioIpM1v1sSRNA4SLhSWe1QF_r-QR95cjhYqNEhD-yh-W" \
        "UrKnfe3AmLzhPA2Nf4WmefoYBL1FpHsVAhQnPMZ-fq7l3lZzKbqAR410hlktiJBsGp_WiGbTkkW4rQ4_lbuz495gMd" \
        "-ceQ8X-_ZJGGgJPr5rln_xwJ8V4-FwrFsfEZEoasqXtbPGNoVzGRG5IZU4P2kWK0y7w99kDlP1Gy-rNu7eNjO1QxQz" \
        "f4CQnbjmeknzb2_kElxwSdn5EGvIEpBISk3ssIKLVONA_ojUslgnao8GSqL1BfcZFdQnOJtn1T8Jix8vzDwzO__5pp" \
        "D54GIuFS5w"

#define FIXTURE_RS512 \
        "eyJhbGciOiJSUzUxMiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtc" \
        "GxlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDA" \
        "wMCwiZXhwIjoyMDAwMDAwMDAwfQ.Bav_4fv4EO0B4Un882z1mVYfXGBvIeHMrSAUMSJBhhygZeUTFEf8a_RAv7fmcK" \
        "j3SkZSQo1Hh8yMmr5P9Qnu-zn1JZRO03_IGl_eKaDCFYAucTq4UDDgAzV2U_LPw0KbwC_aLFrRVExSuq-tsvn8_ezv" \
        "BMSOkRlRdrvG-VgvBP9uAJRWFN0066eo2S96ROfM0My5Wj4qt3bhosiwwAKfjOWVmtT__KkthqVcFmqWsN7rwWuCP3" \
        "gQJwJLlFW_BunX-8VXQckZLVy159eLIhnziVqAEUil77zMXTzt6uxeNI1rz4J4yqomNRtimLgQ2pPfLK-Pr4gqAsnE" \
        "xqzB0pbCyA"

#define FIXTURE_PS256 \
        "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtc" \
        "GxlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDA" \
        "wMCwiZXhwIjoyMDAwMDAwMDAwfQ.YGcoNtJ-OD7NYpBrFb40ABLulW5pJtJ1IGnuEvVPfUPIFFXBdyx8kAJVXTPg-p" \
        "fXQSy_FMUgf135RCWGyi-YwIbDASpJt7Xoflv4o7QH8C813CtDBC3vQga2sk5dMEZs2IBClpGpapC1XYNBGbZPf07r" \
        "wuYcRaL92ehNgAzPksJlasKNs5SyvLfZiKvNdU9gEmOuix9cewgZwscgjbaUj8nYl8VGw19J_i6QABqenjpbaqcf6l" \
        "hxTVvnA7wQygyND26tWSqWTKzEMgrhvzya5n08NJ6FhrcNCook-OG0kLhAIUOhgBo8ncVXkrq3JhxbloUB7SkDVCnj" \
        "UcLdB0HYPQ"

#define FIXTURE_ES256_KID_OF_RSA \
        "eyJhbGciOiJFUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtc" \
        "GxlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDA" \
        "wMCwiZXhwIjoyMDAwMDAwMDAwfQ.CtuZKFSgROTu0aeZn6B745BwlcIbIAWw5GUoD9zq_urnpzDHcElzSb0DKdWqmb" \
        "EtY2__f4gr8LefBm6zgbCKfw"

#define FIXTURE_EDDSA_KID_OF_EC \
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImVjIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcG" \
        "xlIiwiYXVkIjoicGFybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDAw" \
        "MCwiZXhwIjoyMDAwMDAwMDAwfQ.XICAZDEyygJN6QQetQKtV6ihDnh91Sooi-aNb9gXoCUpxYUxS5S1iwx25STFH2X" \
        "6iXIN1soDVkLbEtDoLoS4AQ"

#define FIXTURE_NONE \
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoicG" \
        "FybGV5Iiwic3ViIjoiYWRhIiwibmFtZSI6IkFkYSBMb3ZlbGFjZSIsIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoyMDAw" \
        "MDAwMDAwfQ."

#define FIXTURE_CONFUSED_PEM \
        "eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhb" \
        "XBsZSIsICJhdWQiOiAicGFybGV5IiwgInN1YiI6ICJhZGEiLCAibmFtZSI6ICJBZGEgTG92ZWxhY2UiLCAibmJmIjo" \
        "gMTcwMDAwMDAwMCwgImV4cCI6IDIwMDAwMDAwMDB9.B5IVW06rOCPGptL-4WJEt-n9enWOciwMTkprEdRhpKQ"

#define FIXTURE_CONFUSED_PEM_NO_NEWLINE \
        "eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhb" \
        "XBsZSIsICJhdWQiOiAicGFybGV5IiwgInN1YiI6ICJhZGEiLCAibmFtZSI6ICJBZGEgTG92ZWxhY2UiLCAibmJmIjo" \
        "gMTcwMDAwMDAwMCwgImV4cCI6IDIwMDAwMDAwMDB9.S8S2FjLMFGrpdxiCodzK9vXxkIZ8Hva1bXPKU76gFO0"

#define FIXTURE_CONFUSED_DER \
        "eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhb" \
        "XBsZSIsICJhdWQiOiAicGFybGV5IiwgInN1YiI6ICJhZGEiLCAibmFtZSI6ICJBZGEgTG92ZWxhY2UiLCAibmJmIjo" \
        "gMTcwMDAwMDAwMCwgImV4cCI6IDIwMDAwMDAwMDB9.uVsSDMoJphHmi611Ve2BTzIXNQjLM014vprVC8Ryuz0"

#define FIXTURE_CONFUSED_MODULUS \
        "eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhb" \
        "XBsZSIsICJhdWQiOiAicGFybGV5IiwgInN1YiI6ICJhZGEiLCAibmFtZSI6ICJBZGEgTG92ZWxhY2UiLCAibmJmIjo" \
        "gMTcwMDAwMDAwMCwgImV4cCI6IDIwMDAwMDAwMDB9.-fbU2ntONb4gld8yC7Tf41LR8KKqJyEkthxihMq-R5M"

#define FIXTURE_CONFUSED_EMPTY \
        "eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhb" \
        "XBsZSIsICJhdWQiOiAicGFybGV5IiwgInN1YiI6ICJhZGEiLCAibmFtZSI6ICJBZGEgTG92ZWxhY2UiLCAibmJmIjo" \
        "gMTcwMDAwMDAwMCwgImV4cCI6IDIwMDAwMDAwMDB9.4dC9_BMkktINdp0zg04JKBW3s-lpUqc4HX0Y8hAaA1k"
